// SPDX-License-Identifier: MIT
/// \file
/// A file as read-only memory: pages are read from the disk when they are touched.
#pragma once
#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace dsv3 {

/// The bytes stay valid, at the same address, while this object (or the one it was moved into) lives.
/// A file that someone else shortens while it is mapped cannot be read safely: the system ends the process (SIGBUS).
class MappedFile {
 public:
  /// Throws std::runtime_error with the path and the system's words if the file is missing, empty, a directory or
  /// anything else that is not a regular file.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return bytes_; }
  std::string_view text() const { return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}; }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace dsv3
