// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>

#include "reference/core/require.hpp"
#include "reference/oracle/ops/ops.hpp"

namespace dsv3::oracle {
namespace {

constexpr std::array<std::string_view, 5> scale_names{"fp32", "ue8m0_ceil", "ocp_floor", "ue8m0_floor",
                                                      "ue8m0_nearest"};

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
              "the numbers a scale may be: any FP32 number, the power of two at or above it, OCP's "
              "2^(floor(log2 amax) - emax); and two mistakes, the power of two at or below it, or the nearest one by "
              "its logarithm",
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

const std::vector<Dtype>& code_types() {
  static const std::vector<Dtype> all{Dtype::f8_e4m3, Dtype::f8_e5m2, Dtype::u8, Dtype::bf16, Dtype::f16, Dtype::i32};
  return all;
}

Dtype dtype_of(FormatId id) {
  switch (id) {
    case FormatId::e4m3:
      return Dtype::f8_e4m3;
    case FormatId::e5m2:
      return Dtype::f8_e5m2;
    case FormatId::bf16:
      return Dtype::bf16;
    case FormatId::fp16:
      return Dtype::f16;
    case FormatId::e5m6:
      return Dtype::i32;
    default:
      return Dtype::u8;
  }
}

AttributeSpec format_attribute(const std::vector<std::string>& more) {
  AttributeSpec spec{.name = "format",
                     .fallback = std::string("e4m3"),
                     .what =
                         "of the codes; in a file E4M3, E5M2, BF16 and FP16 have types of their own, E5M6 is I32, "
                         "the others are bytes (U8)",
                     .choices = {"e4m3", "e5m2", "e3m2", "e2m3", "e2m1", "int8"}};
  spec.choices.insert(spec.choices.end(), more.begin(), more.end());
  return spec;
}

AttributeSpec group_attribute(const char* name, Index fallback) {
  return {.name = name,
          .fallback = fallback,
          .what = "that share a scale; at the edges what is left",
          .least = 1,
          .most = 1 << 20};
}

AttributeSpec rounding_attribute() {
  return convention("rounding", {"nearest_even", "toward_zero"}, "to nearest with ties to even, or toward zero");
}

Rounding rounding_of(const Case& c) {
  return c.word("rounding") == "nearest_even" ? Rounding::nearest_even : Rounding::toward_zero;
}

}  // namespace dsv3::oracle
