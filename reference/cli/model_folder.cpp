// SPDX-License-Identifier: MIT
#include "reference/cli/model_folder.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "reference/core/require.hpp"
#include "reference/training/run_folder.hpp"

namespace dsv3::cli {

std::filesystem::path model_folder(const std::filesystem::path& path) {
  if (std::filesystem::exists(path / "config.json")) return path;
  const auto newest = newest_checkpoint(path);
  require_world(newest.has_value(), path.string(),
                "holds neither a config.json nor a run's checkpoints; a Hugging Face folder or a run is needed");
  return *newest;
}

StreamedModel open_model_folder(const std::filesystem::path& folder) {
  StreamedModel model = open_streamed(folder);
  if (model.absent_mtp > 0 && model.config.model.D == 0)
    fmt::print(stderr,
               "{}: note: the MTP modules are not stored (transformers leaves them out); the main model is whole\n",
               folder.string());
  else if (model.absent_mtp > 0)
    fmt::print(stderr,
               "{}: config.json announces {} MTP modules more than the checkpoint has tensors of; going on without\n",
               folder.string(), model.absent_mtp);
  return model;
}

}  // namespace dsv3::cli
