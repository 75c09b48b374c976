// SPDX-License-Identifier: MIT
/// \file
/// Errors that say where, what is and what is needed.
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace dsv3 {

/// The parts one after the other, as a stream prints them.
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

/// Throws std::invalid_argument "WHERE: WHAT" unless `ok`: a caller passed something that cannot be right.
template <class... Parts>
void require(bool ok, std::string_view where, const Parts&... what) {
  if (!ok) throw std::invalid_argument(concat(where, ": ", what...));
}

/// Throws std::runtime_error "WHERE: WHAT" unless `ok`: a file, a device or a peer is not as it should be.
template <class... Parts>
void require_world(bool ok, std::string_view where, const Parts&... what) {
  if (!ok) throw std::runtime_error(concat(where, ": ", what...));
}

/// What training has driven to infinity or NaN.
struct NotFinite : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

}  // namespace dsv3
