// SPDX-License-Identifier: MIT
#include <array>
#include <cmath>
#include <limits>

#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/ops.hpp"

namespace dsv3::oracle {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();

/// Numbers at which rounding is decided, of E4M3, E5M2 and the format at hand: halfway points, largest and least.
std::vector<float> edges(FormatId format) {
  std::vector<float> x{0.0f, -0.0f, 448.0f, 464.0f, 464.00003f, 57344.0f, 61440.0f, 0x1p-10f, 0x1p-17f, 0x1p-149f};
  for (const FormatId id : {FormatId::e4m3, FormatId::e5m2, format})
    for (std::uint32_t code = 0; code < dsv3::format(id).largest_code(); ++code) {
      const float a = decode(id, code), half = a + (decode(id, code + 1) - a) / 2;
      for (const float tie : {half, std::nextafter(half, 0.0f), std::nextafter(half, infinity)})
        x.push_back(tie), x.push_back(-tie);
    }
  return x;
}

FloatMatrix numbers(const std::string& kind, FormatId format, Index rows, Index cols, Random& random) {
  if (kind == "ties") return sprinkled(normals(rows, cols, random), edges(format), 1, random);
  if (kind == "special")
    return sprinkled(normals(rows, cols, random), {nan, infinity, -infinity, 0.0f, -0.0f}, 97, random);
  if (kind == "all_bits") return random_finite(rows, cols, random);
  return rows_of_many_sizes(rows, cols, random, 12);
}

/// A few scales away from each other: groups of zeros, of subnormals, beside an element a million times larger. All
/// finite, in FP32 and in BF16: at most 2^12 of the row, 2^3.2 of a normal number, 2^90 and 2^20.
FloatMatrix grouped_numbers(const std::string& kind, FormatId format, Index rows, Index cols, Random& random) {
  FloatMatrix x = numbers(kind, format, rows, cols, random);
  if (kind != "groups") return x;
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; j += 32) {
      const Index n = std::min<Index>(32, cols - j);
      constexpr std::array<float, 5> factors{1.0f, 0.0f, 0x1p-140f, 1e-6f, 0x1p90f};
      x.row(i).segment(j, n) *= factors[static_cast<std::size_t>(random.below(5))];
      if (random.below(4) == 0) x(i, j + random.below(n)) *= 1e6f;
    }
  return x;
}

FormatId format_of(const Attributes& attributes) {
  return format_named(std::get<std::string>(attributes.find("format")->second));
}

Op cast_op() {
  Op op{.name = "cast",
        .what = "codes = encode(x): each number rounded to a format (section 3.3)",
        .contract =
            "One rounding from FP32, to nearest with ties to even or toward zero. saturate: what rounds to more "
            "than the largest value becomes the largest, infinities too; otherwise infinity, NaN where the "
            "format has none. -0 keeps its sign. NaN stays NaN.",
        .inputs = {{"x", plain_floats(), {"M", "N"}, "numbers"}},
        .outputs = {{"codes", code_types(), {"M", "N"}, "BF16 and F16 as such, E5M6 as I32, others a byte each"}},
        .attributes = {format_attribute({"bf16", "fp16", "e5m6", "ue8m0"}),
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
    const auto count = static_cast<std::size_t>(x.size());
    const std::span<const float> values(x.data(), count);
    const Cast how{.rounding = rounding_of(c),
                   .overflow = c.attribute<bool>("saturate") ? Overflow::saturate : Overflow::non_saturate};
    if (format(id).bits() <= 8) {
      Codes q(x.rows(), x.cols());
      encode(id, values, std::span(q.data(), count), how);
      return Tensors{{"codes", tensor(dtype_of(id), q)}};
    }
    Codes16 q(x.rows(), x.cols());
    encode(id, values, std::span(q.data(), count), how);
    return Tensors{{"codes", tensor16(dtype_of(id), q)}};
  };
  const Sizes sizes{{"M", 64}, {"N", 256}};
  op.kinds = {{"ordinary", "normal numbers, rows of many sizes", sizes},
              {"ties", "halfway points of the format, E4M3 and E5M2 and the FP32 numbers beside them", sizes},
              {"special", "NaN, infinities and zeros of both signs among the others", sizes},
              {"all_bits", "random bits, without NaN and infinities", sizes}};
  op.draw = [](const std::string& kind, const Sizes& s, const Attributes& a, Random& random) {
    return Tensors{{"x", tensor(numbers(kind, format_of(a), s.at("M"), s.at("N"), random))}};
  };
  return op;
}

Quantisation quantisation(const Case& c) {
  return {.format = format_named(c.word("format")),
          .groups = {c.attribute<Index>("group_rows"), c.attribute<Index>("group_cols")},
          .scale = scale_named(c.word("scale")),
          .dialect = dialect_named(c.word("dialect")),
          .rounding = rounding_of(c)};
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
        .inputs = {{"x", plain_floats(), {"M", "K"}, "activations, gradients or a weight"}},
        .outputs = {{"q", code_types(), {"M", "K"}, "codes; E5M6 as I32"},
                    {"s", {Dtype::f32}, {"ceil(M/group_rows)", "ceil(K/group_cols)"}, "scales"}},
        .attributes = {format_attribute({"e5m6"}), group_attribute("group_rows", 1), group_attribute("group_cols", 128),
                       scale_attribute(), dialect_attribute(), rounding_attribute()},
        .run = {},
        .limits = [](const Case&, const Tensors& ours, const Tensors&) { return all_bits(ours); },
        .imitate = {},
        .kinds = {},
        .draw = {}};
  op.run = [](const Case& c) {
    if (c.word("format") == "e5m6") {
      const Quantised16 x = quantise16(float_matrix(c.in("x")), quantisation(c));
      return Tensors{{"q", tensor16(Dtype::i32, x.q)}, {"s", tensor(x.s)}};
    }
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
  op.draw = [](const std::string& kind, const Sizes& s, const Attributes& a, Random& random) {
    return Tensors{{"x", tensor(grouped_numbers(kind, format_of(a), s.at("M"), s.at("K"), random))}};
  };
  return op;
}

}  // namespace

std::vector<Op> format_ops() { return {cast_op(), quantise_op()}; }

}  // namespace dsv3::oracle
