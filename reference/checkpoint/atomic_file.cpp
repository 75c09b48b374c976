// SPDX-License-Identifier: MIT
#include "reference/checkpoint/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "reference/core/require.hpp"

namespace dsv3 {

namespace fs = std::filesystem;

namespace {
constexpr std::string_view temporary_mark = ".tmp-";

[[noreturn]] void throw_system_error(const fs::path& path, const char* what, int error) {
  throw std::runtime_error(concat(path.string(), ": ", what, ": ", std::generic_category().message(error)));
}

/// Tries names until `make` takes one that does not exist yet; a program killed before may have had our PID.
template <class Make>
fs::path make_temporary(const fs::path& path, const Make& make) {
  static std::atomic<int> counter{0};
  require(path.has_filename(), "write", '"', path.string(), "\" has no file name");
  while (true) {
    fs::path name = path;
    name += concat(temporary_mark, ::getpid(), '-', counter++);
    if (make(name)) return name;
    if (errno != EEXIST) throw_system_error(path, "cannot create", errno);
  }
}

/// Brings a file's or a directory's own contents to the disk.
void sync(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw_system_error(path, "cannot open", errno);
  const int error = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  if (error != 0) throw_system_error(path, "cannot bring to the disk", error);
}

/// A rename is on the disk when the directory that holds the name is.
void sync_parent(const fs::path& path) { sync(path.has_parent_path() ? path.parent_path() : fs::path(".")); }
}  // namespace

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)) {
  const fs::file_status there = fs::symlink_status(path_);
  require_world(!fs::exists(there) || fs::is_regular_file(there), path_.string(),
                "is there and is no regular file; another name is needed");
  temporary_ = make_temporary(path_, [&](const fs::path& name) {
    fd_ = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    return fd_ >= 0;
  });
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::discard() noexcept {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  temporary_.clear();
}

void AtomicFile::fail(const char* what) {
  const int error = errno;
  discard();
  throw_system_error(path_, what, error);
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  require(fd_ >= 0, path_.string(), "nothing can be written after commit or an error");
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("cannot write");
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void AtomicFile::commit() {
  require(fd_ >= 0, path_.string(), "nothing to commit");
  if (::fsync(fd_) != 0) fail("cannot bring to the disk");
  if (::close(std::exchange(fd_, -1)) != 0) fail("cannot close");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("cannot rename into place");
  temporary_.clear();
  sync_parent(path_);
}

void write_file(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(std::as_bytes(std::span(text)));
  file.commit();
}

AtomicDirectory::AtomicDirectory(fs::path path) : path_(std::move(path)) {
  temporary_ = make_temporary(path_, [](const fs::path& name) { return ::mkdir(name.c_str(), 0777) == 0; });
}

AtomicDirectory::~AtomicDirectory() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
}

void AtomicDirectory::commit() {
  require(!temporary_.empty(), path_.string(), "was committed already");
  for (const auto& entry : fs::recursive_directory_iterator(temporary_)) sync(entry.path());
  sync(temporary_);
  const bool replaces = fs::exists(path_);
  require_world(!replaces || fs::is_directory(path_), path_.string(), "exists and is not a directory");
  const int result = replaces ? ::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), RENAME_EXCHANGE)
                              : ::rename(temporary_.c_str(), path_.c_str());
  if (result != 0) throw_system_error(path_, replaces ? "cannot replace it in one step" : "cannot rename", errno);
  sync_parent(path_);
  // The temporary name now holds the old folder, or nothing.
  if (replaces) fs::remove_all(temporary_);
  temporary_.clear();
}

bool is_temporary(const fs::path& path) { return path.filename().string().find(temporary_mark) != std::string::npos; }

}  // namespace dsv3
