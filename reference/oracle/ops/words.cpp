// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>

#include "reference/core/require.hpp"
#include "reference/oracle/ops/ops.hpp"

namespace dsv3::oracle {
namespace {

constexpr std::array<std::string_view, 3> scale_names{"fp32", "ue8m0_ceil", "ocp_floor"};

/// Where a name stands in a list; attributes have been checked against it.
template <class List, class Projection = std::identity>
std::size_t place(const List& list, const std::string& name, const Projection& of = {}) {
  return static_cast<std::size_t>(std::ranges::find(list, name, of) - list.begin());
}

}  // namespace

FormatId format_named(const std::string& name) { return static_cast<FormatId>(place(formats, name, &Format::name)); }
ScaleKind scale_named(const std::string& name) { return static_cast<ScaleKind>(place(scale_names, name)); }
Dialect dialect_named(const std::string& name) {
  return static_cast<Dialect>(place(dialects, name, &DialectRow::name));
}

const std::vector<Dtype>& plain_floats() {
  static const std::vector<Dtype> all{Dtype::f32, Dtype::bf16, Dtype::f16};
  return all;
}

AttributeSpec convention(std::string name, std::vector<std::string> choices, std::string what) {
  AttributeSpec spec{.name = std::move(name), .fallback = choices.front(), .what = std::move(what), .convention = true};
  spec.choices = std::move(choices);
  return spec;
}

bool as_usual(const Case& c, const std::vector<AttributeSpec>& specs) {
  return std::ranges::all_of(specs, [&](const AttributeSpec& a) { return c.attributes.at(a.name) == a.fallback; });
}

AttributeSpec scale_attribute() {
  return {.name = "scale",
          .fallback = std::string("fp32"),
          .what =
              "the numbers a scale may be: any FP32 number, the power of two at or above it, or OCP's "
              "2^(floor(log2 amax) - emax)",
          .choices = {scale_names.begin(), scale_names.end()},
          .convention = true};
}

AttributeSpec dialect_attribute() {
  AttributeSpec spec{.name = "dialect",
                     .fallback = std::string("deepseek_v3"),
                     .what = "whose formula for the scale and for applying it",
                     .convention = true};
  for (const DialectRow& row : dialects) spec.choices.emplace_back(row.name);
  return spec;
}

}  // namespace dsv3::oracle
