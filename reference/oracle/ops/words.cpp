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
