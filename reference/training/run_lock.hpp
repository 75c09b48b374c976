// SPDX-License-Identifier: MIT
/// \file
/// A run's folder, held by one process at a time.
#pragma once
#include <filesystem>
#include <vector>

namespace dsv3 {

/// Makes the folder where it is missing and holds OUT/run.lock (flock) for its lifetime; the system lets go of it when
/// the process ends, however it ends. At its end the file is removed, and so are the folders it has made if nothing was
/// put there. Throws std::runtime_error where another process, or another RunLock of this one, holds the folder, where
/// the path is no folder, and where nothing can be written there.
class RunLock {
 public:
  explicit RunLock(std::filesystem::path out);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  const std::filesystem::path& folder() const { return out_; }
  static constexpr const char* file_name = "run.lock";

 private:
  void make_folders();
  void remove_made_folders() noexcept;
  void take();

  std::filesystem::path out_;
  std::vector<std::filesystem::path> made_;  ///< the innermost last
  int fd_ = -1;
};

}  // namespace dsv3
