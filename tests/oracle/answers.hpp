// SPDX-License-Identifier: MIT
/// \file
/// What tests of ops against numbers on paper share.
#pragma once
#include <doctest/doctest.h>

#include <cmath>

#include "reference/oracle/find.hpp"
#include "reference/oracle/registry.hpp"
#include "reference/oracle/verdict.hpp"

namespace dsv3::oracle {

/// One digit less than FP32 has.
inline constexpr double printed = 2e-7;

inline Tensor row(const std::vector<float>& x, std::vector<Index> shape) {
  return tensor(Eigen::Map<const FloatMatrix>(x.data(), 1, std::ssize(x)), std::move(shape));
}

inline Tensors answer(const char* op, const Tensors& inputs, const Attributes& attributes = {}) {
  return run(op_named(op), checked(op_named(op), inputs, attributes));
}

/// Each number within `error` of what it must be.
inline void check_values(const Tensor& t, const Doubles& needed, double error) {
  const Doubles found = values(t);
  REQUIRE(found.size() == needed.size());
  for (std::size_t i = 0; i < needed.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(found[i] - needed[i]) <= error * std::max(1.0, std::abs(needed[i])));
  }
}

/// What `find` says of an answer that was computed with other attributes.
inline std::string found(const char* op, const std::string& kind, const Attributes& theirs) {
  const Case c = drawn(op_named(op), kind, 3, {}, {});
  Case other = c;
  for (const auto& [name, value] : theirs) other.attributes[name] = value;
  const Tensors outputs = run(op_named(op), other);
  CHECK(judge(op_named(op), c, outputs).agreement == Agreement::outside);
  return text(find(op_named(op), c, outputs), c);
}

/// The first line of what find says of these outputs.
inline std::string first_named(const Op& op, const Case& c, const Tensors& theirs) {
  REQUIRE(judge(op, c, theirs).agreement == Agreement::outside);
  const std::string all = text(find(op, c, theirs), c);
  return all.substr(0, all.find('\n'));
}

inline Case case_of(const char* op, const std::string& kind, const Sizes& sizes = {},
                    const Attributes& attributes = {}) {
  return drawn(op_named(op), kind, 5, sizes, attributes);
}

inline bool says(const std::string& text, const std::string& word) { return text.find(word) != std::string::npos; }

inline std::string word(const char* w) { return w; }

}  // namespace dsv3::oracle
