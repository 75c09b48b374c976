// SPDX-License-Identifier: MIT
#include "reference/training/run_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "reference/core/require.hpp"

namespace dsv3 {

namespace fs = std::filesystem;

namespace {

std::string system_words(int error) { return std::generic_category().message(error); }

/// Whether `path` still names the file that is open: whoever held it before may have removed it.
bool still_names(const fs::path& path, int fd) {
  struct stat open_file {
  }, named{};
  return ::fstat(fd, &open_file) == 0 && ::stat(path.c_str(), &named) == 0 && open_file.st_dev == named.st_dev &&
         open_file.st_ino == named.st_ino;
}

}  // namespace

RunLock::RunLock(fs::path out) : out_(std::move(out)) {
  require(!out_.empty(), "train", "--out is empty; the name of a folder is needed");
  try {
    make_folders();
    take();
  } catch (...) {
    remove_made_folders();
    throw;
  }
}

RunLock::~RunLock() {
  ::unlink((out_ / file_name).c_str());
  ::close(fd_);
  remove_made_folders();
}

void RunLock::make_folders() {
  std::vector<fs::path> missing;
  for (fs::path at = fs::absolute(out_).lexically_normal(); !fs::exists(at); at = at.parent_path())
    if (at.has_filename()) missing.push_back(at);
  std::reverse(missing.begin(), missing.end());
  for (const fs::path& folder : missing) {
    const int error = ::mkdir(folder.c_str(), 0777) == 0 ? 0 : errno;
    require_world(error == 0 || error == EEXIST, out_.string(), "cannot be made: ", system_words(error),
                  "; a folder that can be written to is needed");
    if (error == 0) made_.push_back(folder);
  }
  require_world(fs::is_directory(out_), out_.string(), "is there and is no folder; give --out another name");
}

void RunLock::take() {
  const fs::path file = out_ / file_name;
  do {
    if (fd_ >= 0) ::close(fd_);
    fd_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    const int error = fd_ >= 0 ? 0 : errno;
    require_world(fd_ >= 0, out_.string(), "cannot be written to: ", system_words(error),
                  "; a folder that can be written to is needed");
    if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) continue;
    const int refused = errno;
    ::close(std::exchange(fd_, -1));
    require_world(refused != EWOULDBLOCK, out_.string(),
                  "another dsv3 is at work there; wait until it ends or give --out another folder");
    require_world(false, file.string(), "cannot be locked: ", system_words(refused));
  } while (!still_names(file, fd_));
}

void RunLock::remove_made_folders() noexcept {
  for (auto folder = made_.rbegin(); folder != made_.rend(); ++folder) ::rmdir(folder->c_str());
}

}  // namespace dsv3
