// SPDX-License-Identifier: MIT
#include <array>
#include <cmath>
#include <limits>

#include "reference/formats/e5m6.hpp"
#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/ops.hpp"

namespace dsv3::oracle {
namespace {

const std::vector<Dtype> one_byte{Dtype::f8_e4m3, Dtype::f8_e5m2, Dtype::u8};
constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();

/// What a file calls a format of at most eight bits.
Dtype dtype_of(FormatId id) {
  if (id == FormatId::e4m3) return Dtype::f8_e4m3;
  return id == FormatId::e5m2 ? Dtype::f8_e5m2 : Dtype::u8;
}

/// The format of a tensor of codes: its own type, or what the attribute says of bytes.
AttributeSpec format_attribute() {
  return {.name = "format",
          .fallback = std::string("e4m3"),
          .what = "of the codes; e4m3 and e5m2 have types of their own in a file, the others are bytes (U8)",
          .choices = {"e4m3", "e5m2", "e3m2", "e2m3", "e2m1", "int8"}};
}

AttributeSpec rounding_attribute() {
  return {.name = "rounding",
          .fallback = std::string("nearest_even"),
          .what = "to nearest with ties to even, or toward zero",
          .choices = {"nearest_even", "toward_zero"},
          .convention = true};
}

Rounding rounding_of(const Case& c) {
  return c.word("rounding") == "nearest_even" ? Rounding::nearest_even : Rounding::toward_zero;
}

/// Numbers at which rounding to eight bits is decided: E4M3's and E5M2's halfway points, largest and least.
const std::vector<float>& edges() {
  static const std::vector<float> all = [] {
    std::vector<float> x{0.0f, -0.0f, 448.0f, 464.0f, 464.00003f, 57344.0f, 61440.0f, 0x1p-10f, 0x1p-17f, 0x1p-149f};
    for (int code = 0; code < 127; ++code)
      for (const FormatId id : {FormatId::e4m3, FormatId::e5m2}) {
        const float a = decode(id, code), b = decode(id, code + 1), half = (a + b) / 2;
        if (!std::isfinite(half)) continue;
        for (const float tie : {half, std::nextafter(half, 0.0f), std::nextafter(half, infinity)})
          x.push_back(tie), x.push_back(-tie);
      }
    return x;
  }();
  return all;
}

FloatMatrix numbers(const std::string& kind, Index rows, Index cols, Random& random) {
  if (kind == "ties") return sprinkled(normals(rows, cols, random), edges(), 1, random);
  if (kind == "special")
    return sprinkled(normals(rows, cols, random), {nan, infinity, -infinity, 0.0f, -0.0f}, 97, random);
  if (kind == "all_bits") return random_finite(rows, cols, random);
  return rows_of_many_sizes(rows, cols, random, 12);
}

/// A few scales away from each other: groups of zeros, of subnormals, beside an element a million times larger.
FloatMatrix grouped_numbers(const std::string& kind, Index rows, Index cols, Random& random) {
  FloatMatrix x = numbers(kind, rows, cols, random);
  if (kind != "groups") return x;
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; j += 32) {
      const Index n = std::min<Index>(32, cols - j);
      constexpr std::array<float, 5> factors{1.0f, 0.0f, 0x1p-140f, 1e-6f, 0x1p100f};
      x.row(i).segment(j, n) *= factors[static_cast<std::size_t>(random.below(5))];
      if (random.below(4) == 0) x(i, j + random.below(n)) *= 1e6f;
    }
  return x;
}

Op cast_op() {
  Op op{.name = "cast",
        .what = "codes = encode(x): each number rounded to a format (section 3.3)",
        .contract =
            "One rounding from FP32, to nearest with ties to even or toward zero. saturate: what rounds to more "
            "than the largest value becomes the largest, infinities too; otherwise infinity, NaN where the "
            "format has none. -0 keeps its sign. NaN stays NaN.",
        .inputs = {{"x", {Dtype::f32, Dtype::bf16, Dtype::f16}, {"M", "N"}, "numbers"}},
        .outputs = {{"codes", one_byte, {"M", "N"}, "one byte each, in the low bits"}},
        .attributes = {format_attribute(),
                       rounding_attribute(),
                       {.name = "saturate", .fallback = true, .what = "see the contract", .convention = true}},
        .run = {},
        .limits = [](const Case&, const Tensors& ours, const Tensors&) { return all_bits(ours); },
        .imitate = {},
        .kinds = {},
        .draw = {}};
  op.run = [](const Case& c) {
    const FloatMatrix x = float_matrix(c.in("x"));
    const FormatId id = format_named(c.word("format"));
    Codes q(x.rows(), x.cols());
    const auto count = static_cast<std::size_t>(x.size());
    encode(id, std::span(x.data(), count), std::span(q.data(), count),
           {.rounding = rounding_of(c),
            .overflow = c.attribute<bool>("saturate") ? Overflow::saturate : Overflow::non_saturate});
    return Tensors{{"codes", tensor(dtype_of(id), q)}};
  };
  const Sizes sizes{{"M", 64}, {"N", 256}};
  op.kinds = {{"ordinary", "normal numbers, rows of many sizes", sizes},
              {"ties", "halfway points of E4M3 and E5M2 and the FP32 numbers beside them", sizes},
              {"special", "NaN, infinities and zeros of both signs among the others", sizes},
              {"all_bits", "random bits, without NaN and infinities", sizes}};
  op.draw = [](const std::string& kind, const Sizes& s, const Attributes&, Random& random) {
    return Tensors{{"x", tensor(numbers(kind, s.at("M"), s.at("N"), random))}};
  };
  return op;
}

Quantisation quantisation(const Case& c) {
  const auto size = [&](const char* name, Index all) {
    const Index group = c.attribute<Index>(name);
    return group == 0 ? std::max<Index>(all, 1) : group;
  };
  return {.format = format_named(c.word("format")),
          .groups = {size("group_rows", c.sizes.at("M")), size("group_cols", c.sizes.at("K"))},
          .scale = scale_named(c.word("scale")),
          .dialect = dialect_named(c.word("dialect")),
          .rounding = rounding_of(c)};
}

AttributeSpec group_attribute(const char* name, Index fallback) {
  return {.name = name,
          .fallback = fallback,
          .what = "that share a scale; at the edges what is left",
          .least = 1,
          .most = 1 << 20};
}

Op quantise_op() {
  Op op{.name = "quantise",
        .what =
            "q = encode(x / s), s = amax / largest of each group (section 3.3.2): tiles of 1x128 for activations, "
            "128x1 for Wgrad, blocks of 128x128 for weights, 1x32 for MX",
        .contract =
            "amax over the group; s and x / s by the dialect's FP32 operations, rounded one by one; one rounding "
            "to the format, saturating. s is the multiplier that gives x back. A group of zeros has the scale "
            "that the dialect gives its least amax. NaN or infinity in a group: s = NaN, all codes NaN (dialect "
            "transformer_engine: as that code does).",
        .inputs = {{"x", {Dtype::f32, Dtype::bf16, Dtype::f16}, {"M", "K"}, "activations, gradients or a weight"}},
        .outputs = {{"q", one_byte, {"M", "K"}, "codes"},
                    {"s", {Dtype::f32}, {"ceil(M/group_rows)", "ceil(K/group_cols)"}, "scales"}},
        .attributes = {format_attribute(), group_attribute("group_rows", 1), group_attribute("group_cols", 128),
                       scale_attribute(), dialect_attribute(), rounding_attribute()},
        .run = {},
        .limits = [](const Case&, const Tensors& ours, const Tensors&) { return all_bits(ours); },
        .imitate = {},
        .kinds = {},
        .draw = {}};
  op.run = [](const Case& c) {
    const Quantised x = quantise(float_matrix(c.in("x")), quantisation(c));
    return Tensors{{"q", tensor(dtype_of(x.format), x.q)}, {"s", tensor(x.s)}};
  };
  const Sizes sizes{{"M", 64}, {"K", 512}}, ragged{{"M", 67}, {"K", 300}};
  op.kinds = {{"ordinary", "normal numbers, rows of many sizes", sizes},
              {"ragged", "neither dimension a multiple of 128", ragged},
              {"groups", "groups of zeros, of subnormals, and with one element a million times larger", sizes},
              {"special", "NaN, infinities and zeros of both signs among the others", sizes},
              {"ties", "halfway points of the formats, unscaled", sizes},
              {"all_bits", "random bits, without NaN and infinities", sizes}};
  op.draw = [](const std::string& kind, const Sizes& s, const Attributes&, Random& random) {
    return Tensors{{"x", tensor(grouped_numbers(kind, s.at("M"), s.at("K"), random))}};
  };
  return op;
}

}  // namespace

std::vector<Op> format_ops() { return {cast_op(), quantise_op()}; }

}  // namespace dsv3::oracle
