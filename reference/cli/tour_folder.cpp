// SPDX-License-Identifier: MIT
#include "reference/cli/tour_folder.hpp"

#include <set>
#include <string>

#include "reference/checkpoint/atomic_file.hpp"
#include "reference/core/require.hpp"

namespace dsv3::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* mark = "tour.txt";  // a tour's folder has it from its first moment on

bool is_checkpoint(const fs::path& path) {
  return fs::is_directory(path) && path.filename().string().starts_with("step_");
}

/// The first thing below a run's folder that no run writes; empty if there is none.
fs::path foreign_in_run(const fs::path& out, std::set<std::string> known) {
  known.insert({"run.json", "tokenizer.json", "log.jsonl", "curves.svg", "checkpoints", RunLock::file_name});
  for (const auto& entry : fs::directory_iterator(out)) {
    fs::path name = entry.path();
    if (is_temporary(name)) continue;
    if (!known.contains(name.filename().string())) return name;
  }
  if (fs::is_directory(out / "checkpoints"))
    for (const auto& entry : fs::directory_iterator(out / "checkpoints"))
      if (!is_checkpoint(entry.path())) return entry.path();
  return {};
}

fs::path foreign_in_tour(const fs::path& out) {
  const fs::path found = foreign_in_run(out, {mark, comparison_folder, "tour.svg"});
  if (!found.empty() || !fs::is_directory(out / comparison_folder)) return found;
  return foreign_in_run(out / comparison_folder, {});
}

bool is_empty_but_for_lock(const fs::path& out) {
  for (const auto& entry : fs::directory_iterator(out))
    if (entry.path().filename() != RunLock::file_name) return false;
  return true;
}

}  // namespace

void require_tour_folder(const fs::path& out) {
  if (!fs::is_directory(out) || is_empty_but_for_lock(out)) return;
  require_world(fs::exists(out / mark), out.string(),
                "is not empty and not the folder of a tour; nothing was changed there: give --out another one");
  const fs::path foreign = foreign_in_tour(out);
  require_world(foreign.empty(), foreign.string(),
                "is not of the tour in this folder; nothing was changed there: move it or give --out another folder");
}

void begin_tour_folder(const RunLock& lock) {
  require_tour_folder(lock.folder());  // again: now nobody else is at work there
  for (const auto& entry : fs::directory_iterator(lock.folder()))
    if (entry.path().filename() != mark && entry.path().filename() != RunLock::file_name) fs::remove_all(entry.path());
  write_file(lock.folder() / mark, "A folder of dsv3 tour: the next tour that is given it replaces all of it.\n");
}

}  // namespace dsv3::cli
