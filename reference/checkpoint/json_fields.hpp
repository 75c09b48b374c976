// SPDX-License-Identifier: MIT
/// \file
/// Reads the fields of one JSON object, each with its range, and knows which ones nobody asked for. For .cpp files
/// only.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "reference/core/real.hpp"

namespace dsv3 {

/// All functions throw std::runtime_error "WHERE: field: what is; what is needed". A field that is null is absent.
class JsonFields {
 public:
  JsonFields(const nlohmann::json& object, std::string where);  ///< both must live as long as this

  bool has(const std::string& key);
  /// A whole number in low .. high.
  Index integer(const std::string& key, Index low, Index high);
  /// A whole number in 0 .. 2^64 - 1.
  std::uint64_t natural(const std::string& key);
  /// A finite number in low .. high.
  double number(const std::string& key, double low, double high);
  bool boolean(const std::string& key);
  bool boolean(const std::string& key, bool if_absent);
  std::string text(const std::string& key);
  const nlohmann::json& object(const std::string& key);

  /// Absent, or equal to the only value that is supported.
  template <class T>
  void require_if_present(const std::string& key, const T& only) {
    if (has(key)) check(at(key) == nlohmann::json(only), key, nlohmann::json(only).dump() + " is needed");
  }
  /// Throws about a field: what it holds and `needed`.
  void check(bool ok, const std::string& key, const std::string& needed) const;

  /// Throws naming every field that was not asked for and is not in `harmless`.
  void refuse_others(const std::set<std::string>& harmless) const;

 private:
  const nlohmann::json& at(const std::string& key);

  const nlohmann::json& object_;
  std::string where_;
  std::set<std::string> asked_;
};

}  // namespace dsv3
