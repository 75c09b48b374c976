// SPDX-License-Identifier: MIT
/// \file
/// Runs of dsv3 train on a small text.
#pragma once
#include "tests/cli/program.hpp"
#include "tests/training/small_text.hpp"

namespace dsv3::test {

/// `dsv3 train` of a few steps on the text in `scratch`, which is written if it is not there.
inline std::vector<std::string> train_arguments(const Scratch& scratch, const std::string& out,
                                                const std::string& steps, std::vector<std::string> more = {}) {
  if (!std::filesystem::exists(scratch / "text.txt")) put(scratch / "text.txt", small_text());
  more.insert(more.begin(), {"train", "--config", "tiny", "--data", scratch / "text.txt", "--sequences", "4",
                             "--length", "24", "--micro-batch", "4", "--steps", steps, "--out", scratch / out});
  return more;
}

inline std::vector<std::string> resume_arguments(const Scratch& scratch, const std::string& out) {
  return {"train", "--resume", "--out", scratch / out};
}

/// The complete checkpoints of a run, oldest first.
inline std::vector<std::filesystem::path> checkpoints(const std::filesystem::path& out) {
  std::vector<std::filesystem::path> all;
  if (std::filesystem::exists(out / "checkpoints"))
    for (const auto& entry : std::filesystem::directory_iterator(out / "checkpoints"))
      if (!contains(entry.path().filename(), ".tmp-")) all.push_back(entry.path());
  std::sort(all.begin(), all.end());
  return all;
}

/// Whether two checkpoints hold the same bytes in every file. Both must have all of them.
inline bool same_checkpoint(const std::filesystem::path& a, const std::filesystem::path& b) {
  for (const char* const name :
       {"config.json", "model.safetensors", "optimizer.safetensors", "state.json", "tokenizer.json"})
    if (get(a / name).empty() || get(a / name) != get(b / name)) return false;
  return true;
}

}  // namespace dsv3::test
