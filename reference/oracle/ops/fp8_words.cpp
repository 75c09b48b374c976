// SPDX-License-Identifier: MIT
#include "reference/oracle/ops/fp8_words.hpp"

#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/demands.hpp"

namespace dsv3::oracle {
namespace {

const std::vector<Dtype> eight_bits{Dtype::f8_e4m3, Dtype::f8_e5m2};

/// The part of one of `experts` matrices below each other.
template <class M>
M of_expert(const M& all, Index expert, Index experts) {
  const Index rows = experts == 0 ? 0 : all.rows() / experts;
  return all.middleRows(expert * rows, rows);
}

Scales read_scales(const Case& c, const std::string& name, Scales s) {
  if (name == "W" && c.word("W_scales") == "transposed") s = Scales(s.transpose());
  if (c.word("scales") == "divide") s = s.cwiseInverse();
  return s;
}

}  // namespace

Operand::Operand(const Case& c, const std::string& name, Groups shared_by, Index expert, Index experts)
    : q(of_expert(codes(c.in(name + "_q")), expert, experts)),
      s(read_scales(c, name, of_expert(float_matrix(c.in(name + "_s")), expert, experts))),
      groups(shared_by),
      format(c.in(name + "_q").dtype == Dtype::f8_e5m2 ? FormatId::e5m2 : FormatId::e4m3) {}

std::vector<TensorSpec> operand_specs(const std::string& name, const ShapeText& shape, Groups groups, bool experts) {
  const auto along = [](const std::string& n, Index group) { return group == 1 ? n : "ceil(" + n + "/128)"; };
  ShapeText of_q = shape, of_s{along(shape[0], groups.rows), along(shape[1], groups.cols)};
  if (experts) of_q.insert(of_q.begin(), "E"), of_s.insert(of_s.begin(), "E");
  return {{name + "_q", eight_bits, of_q, "codes"}, {name + "_s", {Dtype::f32}, of_s, "scales"}};
}

std::vector<AttributeSpec> product_attributes(bool with_W) {
  AttributeSpec accumulation{.name = "accumulation",
                             .fallback = std::string("hopper_fp8_wgmma"),
                             .what = "how a tensor core adds up: see reference/linear/tensor_core.hpp",
                             .convention = true,
                             .by_rounding = true};
  for (const NamedAccumulation& a : accumulations()) accumulation.choices.emplace_back(a.name);
  std::vector<AttributeSpec> all{accumulation,
                                 {.name = "promotion",
                                  .fallback = Index{128},
                                  .what = "N_C: products between promotions to FP32 (section 3.3.3), a divisor or a "
                                          "multiple of 128; none: one interval, promoted at the end",
                                  .least = 0,
                                  .most = 1 << 20,
                                  .zero = "none",
                                  .convention = true,
                                  .by_rounding = true,
                                  .others = {Index{0}, Index{128}, Index{256}, Index{512}}},
                                 {.name = "scale_order",
                                  .fallback = std::string("together"),
                                  .what = "acc += p (s_a s_b), or acc += (p s_a) s_b as kernel.py has it",
                                  .choices = {"together", "in_turn"},
                                  .convention = true,
                                  .by_rounding = true},
                                 convention("scales", {"multiply", "divide"},
                                            "a scale is the multiplier that gives a number back, or its inverse")};
  if (with_W)
    all.push_back(convention("W_scales", {"as_is", "transposed"},
                             "the grid of W's scales read by rows, or by columns "
                             "where it is square"));
  return all;
}

Fp8Arithmetic arithmetic_of(const Case& c) {
  const Index promotion = c.attribute<Index>("promotion");
  return {.accumulation = accumulation_named(c.word("accumulation")).promoted_every(promotion),
          .order = c.word("scale_order") == "together" ? ScaleOrder::together : ScaleOrder::in_turn,
          .carries = promotion == 0 || promotion > 128};
}

void demand_product(const Case& c, const char* depth, bool with_W) {
  const Index promotion = c.attribute<Index>("promotion"), deep = c.sizes.find(depth)->second;
  const bool fits = promotion == 0 || promotion % 128 == 0 || 128 % promotion == 0;
  demand(fits, "promotion is ", promotion, "; it must be a divisor or a multiple of 128, or none");
  demand(c.word("accumulation") != "exact" || (promotion > 0 && promotion <= 128), "promotion is ",
         promotion == 0 ? "none" : std::to_string(promotion),
         "; it must be at most 128 with accumulation=exact, which loses nothing");
  demand(deep < Index{1} << 20, depth, " is ", deep, ", the terms of a sum; there must be fewer than 2^20");
  if (with_W && c.word("W_scales") == "transposed")
    demand_square("W_s", num_groups(c.sizes.at("N"), 128), num_groups(c.sizes.at("K"), 128), "W_scales=transposed");
}

FloatMatrix before_quantising(const std::string& kind, Index rows, Index cols, Random& random) {
  return of_kind(kind, rows, cols, random, {.spread = 8, .every = 200});
}

void put_quantised(Tensors& inputs, const std::string& name, const FloatMatrix& m, Groups groups) {
  const Quantised x = quantise(m, {.groups = groups});
  inputs[name + "_q"] = tensor(Dtype::f8_e4m3, x.q);
  inputs[name + "_s"] = tensor(x.s);
}

std::vector<CaseKind> product_kinds(const Sizes& ordinary, const Sizes& ragged, const Sizes& square) {
  return {{"ordinary", "N(0, 1), quantised", ordinary},
          {"ragged", "no dimension a multiple of 128", ragged},
          {"one_signed", "|N(0, 1)|: truncation adds up", ordinary},
          {"outliers", "one element in 200 is 300 times larger", ordinary},
          {"sizes", "rows 2^-8 to 2^8 times as large", ordinary},
          {"zeros", "every third row is zero", ordinary},
          {"square", "N = K, so that scales could be transposed", square}};
}

const char* product_contract() {
  return "The contracted dimension is cut from its start into intervals of `promotion` products. Each is summed "
         "without "
         "scales as `accumulation` says; acc = fma(sum, s_a s_b, acc) in FP32, ascending, from 0. Where `promotion` is "
         "above 128 or none, a mistake, the sum goes on where scales change: times the old s_a s_b, divided by the "
         "new, in FP32. Judged with bounds that hold for any order inside an interval and of the intervals.";
}

}  // namespace dsv3::oracle
