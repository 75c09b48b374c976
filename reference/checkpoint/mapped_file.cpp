// SPDX-License-Identifier: MIT
#include "reference/checkpoint/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "reference/core/require.hpp"

namespace dsv3 {

namespace {
std::string system_words() { return std::generic_category().message(errno); }

/// Closes on every way out; the mapping outlives it.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};
}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  const std::string where = path.string();
  // O_NONBLOCK: opening a pipe must fail below, not wait for a writer.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  require_world(file.fd >= 0, where, "cannot open: ", file.fd < 0 ? system_words() : "");
  struct stat status {};
  require_world(::fstat(file.fd, &status) == 0, where, "cannot look at it: ", system_words());
  require_world(!S_ISDIR(status.st_mode), where, "is a directory; a file is needed");
  require_world(S_ISREG(status.st_mode), where, "is not a regular file");
  require_world(status.st_size > 0, where, "is empty");
  const auto size = static_cast<std::size_t>(status.st_size);
  void* const address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  require_world(address != MAP_FAILED, where, "cannot map ", size, " bytes: ", system_words());
  bytes_ = {static_cast<const std::byte*>(address), size};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace dsv3
