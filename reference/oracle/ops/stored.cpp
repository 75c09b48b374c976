// SPDX-License-Identifier: MIT
// Codes that are stored: back to numbers, and to other groups.
#include <algorithm>
#include <cmath>
#include <limits>

#include "reference/core/require.hpp"
#include "reference/formats/quantise.hpp"
#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/demands.hpp"
#include "reference/oracle/ops/ops.hpp"

namespace dsv3::oracle {
namespace {

/// A file's FP8 types say what they are; of bytes and whole numbers the attribute does.
FormatId format_of(const Tensor& q, const std::string& named) {
  if (q.dtype == Dtype::f8_e4m3) return FormatId::e4m3;
  return q.dtype == Dtype::f8_e5m2 ? FormatId::e5m2 : format_named(named);
}

/// The codes of an input, with its scales as they are.
Quantised16 stored(const Case& c, Groups groups) {
  Quantised16 x{codes16(c.in("q")), float_matrix(c.in("s")), groups, format_of(c.in("q"), c.word("format"))};
  for (Index i = 0; i < x.q.size(); ++i)
    require(x.q.data()[i] >> format(x.format).bits() == 0, "q", x.q.data()[i], " is no code of ", format(x.format).name,
            ", which has ", format(x.format).bits(), " bits");
  return x;
}

Tensor in_bf16(const FloatMatrix& m) { return rounded(Dtype::bf16, m, {m.rows(), m.cols()}); }

/// The scales as the case reads them.
Scales read_scales(const Case& c, Scales s) {
  if (c.word("scale_layout") == "transposed") s = Scales(s.transpose());
  if (c.word("scale_rounding") == "bf16") s = float_matrix(in_bf16(s));
  return s;
}

/// By the reference, or with the scales as divisors.
FloatMatrix numbers_of(const Case& c, const Quantised16& x) {
  if (c.word("scale_use") == "multiply") {
    if (format(x.format).bits() <= 8) return dequantise(Quantised{x.q.cast<std::uint8_t>(), x.s, x.groups, x.format});
    return dequantise(x);
  }
  FloatMatrix out(x.q.rows(), x.q.cols());
  for (Index i = 0; i < out.rows(); ++i)
    for (Index j = 0; j < out.cols(); ++j)
      out(i, j) = decode(x.format, x.q(i, j)) / x.s(i / x.groups.rows, j / x.groups.cols);
  return out;
}

/// All codes, with the scales of a kind.
Tensors drawn_codes(const std::string& kind, const Sizes& sizes, FormatId id, Groups groups, Random& random) {
  const Index M = sizes.at("M"), K = sizes.at("K");
  Codes16 q(M, K);
  for (Index i = 0; i < q.size(); ++i)
    q.data()[i] = static_cast<std::uint16_t>(random.bits() & ((1u << format(id).bits()) - 1));
  Scales s = positives(num_groups(M, groups.rows), num_groups(K, groups.cols), random, 0.01);
  constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  if (kind == "powers")
    for (Index i = 0; i < s.size(); ++i) s.data()[i] = std::ldexp(1.0f, static_cast<int>(random.below(40)) - 30);
  if (kind == "special") s = sprinkled(std::move(s), {0.0f, -1.0f, nan, infinity, 0x1p-140f, 0x1p126f}, 2, random);
  const bool narrow = format(id).bits() <= 8;
  return {{"q", narrow ? tensor(dtype_of(id), Codes(q.cast<std::uint8_t>())) : tensor16(dtype_of(id), q)},
          {"s", tensor(s)}};
}

const std::vector<Dtype>& stored_types() {
  static const std::vector<Dtype> all{Dtype::f8_e4m3, Dtype::f8_e5m2, Dtype::u8, Dtype::i32};
  return all;
}

Groups groups_of(const Case& c) { return {c.attribute<Index>("group_rows"), c.attribute<Index>("group_cols")}; }

Op dequantise_op() {
  Op op;
  op.name = "dequantise";
  op.what = "x = value(q) s of each group (section 3.3.2): the scale is a multiplier, as weight_scale_inv is";
  op.contract =
      "One FP32 product of the code's exact value and its scale, rounded once. A NaN code or scale gives NaN. Output "
      "in BF16 or FP16 is accepted where it is that number rounded to nearest.";
  op.inputs = {{"q", stored_types(), {"M", "K"}, "codes"},
               {"s", {Dtype::f32}, {"ceil(M/group_rows)", "ceil(K/group_cols)"}, "scales"}};
  op.outputs = {{"x", {Dtype::f32}, {"M", "K"}, "numbers"}};
  op.attributes = {format_attribute({"e5m6"}),
                   group_attribute("group_rows", 1),
                   group_attribute("group_cols", 128),
                   convention("scale_use", {"multiply", "divide"},
                              "x = q s, or q / s where a scale is taken for its "
                              "inverse"),
                   convention("scale_layout", {"as_is", "transposed"},
                              "the grid of scales read by rows or by columns "
                              "(a square one)"),
                   convention("scale_rounding", {"fp32", "bf16"}, "scales as they are, or rounded to BF16"),
                   convention("result", {"fp32", "bf16"}, "x as it is, or rounded to BF16")};
  op.demands = [](const Case& c) {
    const Groups groups = groups_of(c);
    if (c.word("scale_layout") == "transposed")
      demand_square("s", num_groups(c.sizes.at("M"), groups.rows), num_groups(c.sizes.at("K"), groups.cols),
                    "scale_layout=transposed");
  };
  op.run = [](const Case& c) {
    Quantised16 x = stored(c, groups_of(c));
    x.s = read_scales(c, std::move(x.s));
    const FloatMatrix numbers = numbers_of(c, x);
    return Tensors{{"x", tensor(c.word("result") == "bf16" ? float_matrix(in_bf16(numbers)) : numbers)}};
  };
  op.limits = [](const Case&, const Tensors& ours, const Tensors&) {
    const Doubles exact(static_cast<std::size_t>(ours.at("x").size()));
    return Limits{{"x", {.bound = exact, .spread = {}, .center = {}, .remarks = {}}}};
  };
  const Sizes sizes{{"M", 16}, {"K", 512}};
  const Attributes blocks{{"group_rows", Index{128}}};
  op.kinds = {{"ordinary", "all codes, tiles of 1x128", sizes},
              {"ragged", "neither dimension a multiple of 128", {{"M", 7}, {"K", 300}}},
              {"blocks", "a weight in blocks of 128x128", {{"M", 200}, {"K", 200}}, blocks},
              {"e5m6", "E5M6 codes with powers of two as scales", sizes, {{"format", std::string("e5m6")}}},
              {"powers", "powers of two as scales", sizes},
              {"special", "scales of 0, -1, NaN, infinity, 2^-140 and 2^126", sizes}};
  op.draw = [](const std::string& kind, const Sizes& s, const Attributes& a, Random& random) {
    const FormatId id = format_named(std::get<std::string>(a.find("format")->second));
    return drawn_codes(kind == "e5m6" ? "powers" : kind, s, id, {s.at("group_rows"), s.at("group_cols")}, random);
  };
  return op;
}

Op requantise_op() {
  Op op;
  op.name = "requantise";
  op.what =
      "q', s' = quantise(q s) in other groups: an activation kept in 1x128 for Fprop, in 128x1 for Wgrad (section "
      "3.3.2)";
  op.contract =
      "As `dequantise`, then as `quantise`, both bit for bit. With powers of two as scales on both sides a code keeps "
      "its fraction, unless its new value falls below the least normal number.";
  op.inputs = {{"q", {Dtype::f8_e4m3, Dtype::f8_e5m2}, {"M", "K"}, "codes"},
               {"s", {Dtype::f32}, {"ceil(M/from_rows)", "ceil(K/from_cols)"}, "their scales"}};
  op.outputs = {{"q", {Dtype::f8_e4m3, Dtype::f8_e5m2}, {"M", "K"}, "codes of the same format"},
                {"s", {Dtype::f32}, {"ceil(M/group_rows)", "ceil(K/group_cols)"}, "their scales"}};
  op.attributes = {group_attribute("from_rows", 1),
                   group_attribute("from_cols", 128),
                   group_attribute("group_rows", 128),
                   group_attribute("group_cols", 1),
                   scale_attribute(),
                   dialect_attribute(),
                   rounding_attribute(),
                   convention("between", {"fp32", "bf16"}, "the dequantised numbers as they are, or rounded to BF16")};
  op.run = [](const Case& c) {
    const FormatId id = format_of(c.in("q"), "e4m3");
    const Quantisation how{.format = id,
                           .groups = groups_of(c),
                           .scale = scale_named(c.word("scale")),
                           .dialect = dialect_named(c.word("dialect")),
                           .rounding = rounding_of(c)};
    const Groups from{c.attribute<Index>("from_rows"), c.attribute<Index>("from_cols")};
    const Quantised x{codes(c.in("q")), float_matrix(c.in("s")), from, id};
    const Quantised y =
        c.word("between") == "fp32" ? requantise(x, how) : quantise(float_matrix(in_bf16(dequantise(x))), how);
    return Tensors{{"q", tensor(dtype_of(id), y.q)}, {"s", tensor(y.s)}};
  };
  op.limits = [](const Case&, const Tensors& ours, const Tensors&) { return all_bits(ours); };
  const Sizes sizes{{"M", 256}, {"K", 256}};
  op.kinds = {{"ordinary", "rows of many sizes, 1x128 to 128x1", sizes},
              {"ragged", "neither dimension a multiple of 128", {{"M", 131}, {"K", 200}}},
              {"powers", "powers of two as scales, before and after", sizes, {{"scale", std::string("ue8m0_ceil")}}},
              {"zeros", "every third row is zero", sizes},
              {"outliers", "one element in 200 is 300 times larger", sizes},
              {"special", "all codes, and scales of 0, -1, NaN, infinity, 2^-140 and 2^126", sizes}};
  op.draw = [](const std::string& kind, const Sizes& s, const Attributes&, Random& random) {
    const Groups from{s.at("from_rows"), s.at("from_cols")};
    if (kind == "special") return drawn_codes(kind, s, FormatId::e4m3, from, random);
    FloatMatrix x = rows_of_many_sizes(s.at("M"), s.at("K"), random, 6);
    if (kind == "outliers") x = sprinkled(std::move(x), {300.0f, -300.0f}, 200, random);
    for (Index i = 0; i < x.rows() && kind == "zeros"; i += 3) x.row(i).setZero();
    const ScaleKind scale = kind == "powers" ? ScaleKind::ue8m0_ceil : ScaleKind::fp32;
    const Quantised q = quantise(x, {.groups = from, .scale = scale});
    return Tensors{{"q", tensor(Dtype::f8_e4m3, q.q)}, {"s", tensor(q.s)}};
  };
  return op;
}

}  // namespace

std::vector<Op> stored_ops() { return {dequantise_op(), requantise_op()}; }

}  // namespace dsv3::oracle
