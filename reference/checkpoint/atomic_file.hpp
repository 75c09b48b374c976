// SPDX-License-Identifier: MIT
/// \file
/// Files and directories that appear under their name complete or not at all, whatever ends the program.
///
/// Everything is written under a temporary name in the same folder ("NAME.tmp-PID-N"), brought to the disk (fsync) and
/// renamed. What was committed survives a power cut; what was not is removed, or, after kill -9, stays behind under its
/// temporary name, which `is_temporary` tells from a finished one.
#pragma once
#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace dsv3 {

/// Every function throws std::runtime_error "PATH: what failed: the system's words" (disk full, no such folder, ...)
/// and removes the temporary file. An existing file of that name is replaced, in one step, by commit().
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();  ///< without commit(): leaves nothing
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void commit();

 private:
  [[noreturn]] void fail(const char* what);
  void discard() noexcept;

  std::filesystem::path path_, temporary_;
  int fd_ = -1;
};

/// A whole small file at once.
void write_file(const std::filesystem::path& path, std::string_view text);

/// A folder of files that belong together: write into `folder()`, then commit(). Errors as AtomicFile's.
/// An existing folder of that name is exchanged with the new one in one step and then deleted.
class AtomicDirectory {
 public:
  explicit AtomicDirectory(std::filesystem::path path);
  ~AtomicDirectory();  ///< without commit(): deletes what was written
  AtomicDirectory(const AtomicDirectory&) = delete;
  AtomicDirectory& operator=(const AtomicDirectory&) = delete;

  const std::filesystem::path& folder() const { return temporary_; }
  void commit();

 private:
  std::filesystem::path path_, temporary_;  // temporary_ is empty after commit()
};

/// Whether the last part of `path` is a name that AtomicFile or AtomicDirectory gives before commit().
bool is_temporary(const std::filesystem::path& path);

}  // namespace dsv3
