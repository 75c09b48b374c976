// SPDX-License-Identifier: MIT
#include "reference/rope/rope.hpp"

#include <cmath>
#include <limits>

#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/demands.hpp"
#include "reference/oracle/ops/ops.hpp"
#include "reference/oracle/ops/rotary.hpp"

namespace dsv3::oracle {
namespace {

void twin(Twin& t) {
  const Index width = t.call.sizes.at("W");
  const Turns table = turns(t, frequencies(t.tape, t.call, width), width);
  t.out("y", rotated(t.call, t.in("x"), t.call.sizes.at("H"), table));
}

/// [T, H, W] as rows of tokens, and back.
Matrix by_token(const Case& c, const std::string& name) {
  const FloatMatrix m = float_matrix(c.in(name));
  return Eigen::Map<const FloatMatrix>(m.data(), c.sizes.at("T"), c.sizes.at("H") * c.sizes.at("W"));
}

Tensor by_head(const Case& c, const Matrix& m) {
  return tensor(m, {c.sizes.at("T"), c.sizes.at("H"), c.sizes.at("W")});
}

bool has_reference(const Case& c) {
  return has_usual_tables(c) && c.word("direction") == "forward" && c.word("rotation") == "fp32";
}

std::optional<Tensors> forward(const Case& c) {
  const Index width = c.sizes.at("W");
  const RopeTable table = rope_table(c, width);
  if (!has_reference(c)) return {};
  Matrix x = by_token(c, "x");
  const std::string& layout = c.word("layout");
  table.rotate(x, layout == "half" ? RopeLayout::half : RopeLayout::interleaved);
  if (layout == "interleaved_to_half") x = reorder_channels(x, width, RopeLayout::interleaved, RopeLayout::half);
  return Tensors{{"y", by_head(c, x)}};
}

std::optional<Tensors> backward(const Case& c) {
  const Index width = c.sizes.at("W");
  const RopeTable table = rope_table(c, width);
  if (!has_reference(c)) return {};
  Matrix dx = by_token(c, "dy");
  const std::string& layout = c.word("layout");
  if (layout == "interleaved_to_half") dx = reorder_channels(dx, width, RopeLayout::half, RopeLayout::interleaved);
  table.rotate_back(dx, layout == "half" ? RopeLayout::half : RopeLayout::interleaved);
  return Tensors{{"dx", by_head(c, dx)}};
}

Tensors drawn_inputs(const std::string& kind, const Sizes& s, Random& random) {
  const Index T = s.at("T"), H = s.at("H"), W = s.at("W");
  constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  FloatMatrix x = normals(T * H, W, random);
  if (kind == "special") x = sprinkled(std::move(x), {nan, infinity, -infinity}, 50, random);
  if (kind == "sizes") x = rows_of_many_sizes(T * H, W, random, 12);
  return {{"x", tensor(x, {T, H, W})},
          {"positions", tensor(drawn_positions(kind, T, s.at("max_length"), random), {T})}};
}

TwinOp rope() {
  TwinOp t;
  Op& op = t.op;
  op.name = "rope";
  op.what =
      "RoPE(x): pair i of each head turned by position f_i, (a, b) -> (a cos - b sin, a sin + b cos) (Eqs. 3 and 8); "
      "with YaRN's f_i (section 4.3)";
  op.contract =
      "f_i, position f_i, cos and sin of it are rounded to FP32 each (angles=released), or only cos and sin are "
      "(exact); then two products and a sum in FP32. At position p angles formed in FP32 are off by some p f_i 2^-24 "
      "radians: `released` allows that, `exact` does not. NaN and infinity spoil their own pair.";
  op.inputs = {{"x", plain_floats(), {"T", "H", "W"}, "tokens, heads, rotary channels (an even number)"},
               {"positions", {Dtype::i64, Dtype::i32}, {"T"}, "of the tokens, 0 to max_length - 1, in any order"}};
  op.outputs = {{"y", {Dtype::f32}, {"T", "H", "W"}, "rotated"}};
  op.attributes = rotary_attributes();
  for (const AttributeSpec& spec : rotation_attributes()) op.attributes.push_back(spec);
  const Sizes sizes{{"T", 16}, {"H", 2}, {"W", 64}};
  op.kinds = {{"ordinary", "positions below 4096", sizes},
              {"far", "positions up to max_length", sizes},
              {"borders", "positions 1, 4095, 4096, 4097, 65535, 131071, 163838, 163839", sizes},
              {"start", "positions 0, 1 and 2: nothing moves at 0", sizes},
              {"ragged", "one head of one pair", {{"T", 7}, {"H", 1}, {"W", 2}}},
              {"not_extended", "max_length is original_length: YaRN is off", sizes, {{"max_length", Index{4096}}}},
              {"exact_angles", "far, with exact angles", sizes, {{"angles", std::string("exact")}}},
              {"two_mscales", "mscale and mscale_all_dim differ", sizes, {{"mscale_all_dim", 0.5}}},
              {"sizes", "heads 2^-12 to 2^12 times as large", sizes},
              {"special", "NaN and infinities among the others", sizes}};
  op.draw = [](const std::string& kind, const Sizes& s, const Attributes&, Random& random) {
    return drawn_inputs(kind == "exact_angles" ? "far" : kind, s, random);
  };
  op.demands = [](const Case& c) { demand_rotary(c, "W"); };
  t.twin = twin;
  t.forward = forward;
  t.gradients = {"x"};
  t.backward = backward;
  t.backward_contract = "dx is dy turned back by the same angles: (da cos + db sin, db cos - da sin), in FP32.";
  return t;
}

/// (d_h + d_h^R)^(-1/2) mscale^2, or what others take.
double scale_of_softmax(const Case& c) {
  const std::string &widths = c.word("softmax_width"), &power = c.word("softmax_mscale");
  const auto content = static_cast<double>(c.attribute<Index>("content_width"));
  const auto latent = static_cast<double>(c.attribute<Index>("latent_width"));
  const auto rotary = static_cast<double>(c.attribute<Index>("width"));
  const double n = widths == "head" ? content + rotary : widths == "content" ? content : latent + rotary;
  const double mscale = interpolates(c) && power != "none" ? temperature(c, c.attribute<double>("mscale_all_dim")) : 1;
  return (power == "squared" ? mscale * mscale : mscale) / std::sqrt(n);
}

void table_twin(Twin& t) {
  const Index width = t.call.attribute<Index>("width");
  const Var f = t.out("f", frequencies(t.tape, t.call, width));
  const Turns table = turns(t, f, width);
  t.out("cos", table.cos);
  t.out("sin", table.sin);
  Estimate scale(1, 1);
  scale(0, 0) = widened({scale_of_softmax(t.call)}, 6 * u * scale_of_softmax(t.call));
  t.out("softmax_scale", t.tape.put(std::move(scale), {}));
}

/// cos and sin are what a pair (1, 0) turns to.
std::optional<Tensors> table_forward(const Case& c) {
  const Index width = c.attribute<Index>("width"), T = c.sizes.at("T");
  const RopeTable table = rope_table(c, width);
  if (!has_usual_tables(c) || c.word("softmax_mscale") != "squared" || c.word("softmax_width") != "head") return {};
  const RopeConfig config = rope_config(c, width);
  FloatMatrix f(1, width / 2), scale(1, 1);
  if (config.angles == AngleDialect::released) std::ranges::copy(released_frequencies(config), f.data());
  else std::ranges::transform(rope_frequencies(config), f.data(), [](double x) { return static_cast<float>(x); });
  Matrix turned = Matrix::Zero(T, width);
  turned.leftCols(width / 2).setOnes();
  table.rotate(turned, RopeLayout::half);
  scale(0, 0) = static_cast<float>(softmax_scale(c.attribute<Index>("content_width"), config));
  return Tensors{{"f", tensor(f, {width / 2})},
                 {"cos", tensor(turned.leftCols(width / 2))},
                 {"sin", tensor(turned.rightCols(width / 2))},
                 {"softmax_scale", tensor(scale, {})}};
}

AttributeSpec width_attribute(const char* name, Index fallback, const char* what) {
  return {.name = name, .fallback = fallback, .what = what, .least = name[0] == 'w' ? 2.0 : 1.0, .most = 1 << 14};
}

TwinOp yarn_table() {
  TwinOp t;
  Op& op = t.op;
  op.name = "yarn_table";
  op.what =
      "the tables of RoPE under YaRN (section 4.3): f_i = theta^(-2i/width) (ramp_i / s + 1 - ramp_i), cos and sin of "
      "position f_i, and the softmax scale (d_h + d_h^R)^(-1/2) (0.1 m ln s + 1)^2";
  op.contract =
      "ramp_i = clamp((i - low) / (high - low), 0, 1), low = max(floor(corr(beta_fast)), 0), high = "
      "min(ceil(corr(beta_slow)), width - 1), corr(r) = width ln(original_length / (2 pi r)) / (2 ln theta). Rounded "
      "to FP32 at every step (angles=released: cos and sin are judged from your f), or only at the end (exact).";
  op.inputs = {{"positions", {Dtype::i64, Dtype::i32}, {"T"}, "0 to max_length - 1, in any order"}};
  op.outputs = {{"f", {Dtype::f32}, {"ceil(width/2)"}, "radians per position"},
                {"cos", {Dtype::f32}, {"T", "ceil(width/2)"}, "cos(position f)"},
                {"sin", {Dtype::f32}, {"T", "ceil(width/2)"}, "sin(position f)"},
                {"softmax_scale", {Dtype::f32}, {}, "factor on the whole logit"}};
  op.attributes = {width_attribute("width", 64, "d_h^R, even"),
                   width_attribute("content_width", 128, "d_h, of a head's channels without position"),
                   width_attribute("latent_width", 512, "d_c, which the softmax scale does not depend on")};
  for (const AttributeSpec& spec : rotary_attributes()) op.attributes.push_back(spec);
  op.attributes.push_back(convention("softmax_mscale", {"squared", "once", "none"}, "the temperature in the scale"));
  op.attributes.push_back(
      convention("softmax_width", {"head", "content", "latent"}, "1 / sqrt of d_h + d_h^R, of d_h, or of d_c + d_h^R"));
  const Sizes sizes{{"T", 32}};
  op.kinds = {{"ordinary", "positions below 4096", sizes},
              {"far", "positions up to max_length", sizes},
              {"borders", "positions 1, 4095, 4096, 4097, 65535, 131071, 163838, 163839", sizes},
              {"start", "positions 0, 1 and 2", sizes},
              {"narrow", "one pair", sizes, {{"width", Index{2}}}},
              {"not_extended", "max_length is original_length: YaRN is off", sizes, {{"max_length", Index{4096}}}},
              {"v2_lite",
               "mscale 0.707, of which mscale_all_dim is one too",
               sizes,
               {{"mscale", 0.707}, {"mscale_all_dim", 0.707}}},
              {"two_mscales", "mscale and mscale_all_dim differ", sizes, {{"mscale_all_dim", 0.5}}},
              {"exact_angles", "far, with exact angles", sizes, {{"angles", std::string("exact")}}}};
  op.draw = [](const std::string& kind, const Sizes& s, const Attributes&, Random& random) {
    const std::string where = kind == "exact_angles" ? "far" : kind;
    return Tensors{{"positions", tensor(drawn_positions(where, s.at("T"), s.at("max_length"), random), {s.at("T")})}};
  };
  op.demands = [](const Case& c) { demand_rotary(c, "width"); };
  t.twin = table_twin;
  t.forward = table_forward;
  return t;
}

}  // namespace

std::vector<Op> rope_ops() {
  std::vector<Op> ops = ops_of(rope());
  ops.push_back(ops_of(yarn_table()).front());
  return ops;
}

}  // namespace dsv3::oracle
