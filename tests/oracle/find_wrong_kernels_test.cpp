// SPDX-License-Identifier: MIT
// Kernels with a mistake that people make, in plain loops that share nothing with the reading: find must name it first.
#include "tests/oracle/answers.hpp"

#include <algorithm>

#include "reference/formats/cast.hpp"

using namespace dsv3;
using namespace dsv3::oracle;

namespace {

/// A tensor's elements as a matrix [rows, cols] of doubles.
struct Numbers {
  Doubles x;
  Index cols;
  explicit Numbers(const Tensor& t) : x(values(t)), cols(t.shape.back()) {}
  double operator()(Index i, Index j) const { return x[static_cast<std::size_t>(i * cols + j)]; }
};

using Power = double (*)(double log2_s);  ///< of two, for a scale
double down(double log2_s) { return std::exp2(std::floor(log2_s)); }
double nearest(double log2_s) { return std::exp2(std::round(log2_s)); }

/// E4M3 in groups of [rows, cols] with powers of two as scales; what is beyond 448 becomes 448.
Tensors quantised(const FloatMatrix& x, Index rows, Index cols, Power power) {
  Codes q(x.rows(), x.cols());
  FloatMatrix s((x.rows() + rows - 1) / rows, (x.cols() + cols - 1) / cols);
  s.setZero();
  for (Index i = 0; i < x.rows(); ++i)
    for (Index j = 0; j < x.cols(); ++j) s(i / rows, j / cols) = std::max(s(i / rows, j / cols), std::abs(x(i, j)));
  for (Index g = 0; g < s.size(); ++g) {
    const double amax = std::max(double{s.data()[g]}, 1e-4);
    s.data()[g] = static_cast<float>(power(std::log2(amax / 448)));
  }
  for (Index i = 0; i < x.rows(); ++i)
    for (Index j = 0; j < x.cols(); ++j)
      q(i, j) = static_cast<std::uint8_t>(
          encode(FormatId::e4m3, std::clamp(x(i, j) / s(i / rows, j / cols), -448.0f, 448.0f)));
  return {{"q", tensor(Dtype::f8_e4m3, q)}, {"s", tensor(s)}};
}

FloatMatrix dequantised(const Case& c) {
  const Codes q = codes(c.in("q"));
  const Numbers s(c.in("s"));
  FloatMatrix x(q.rows(), q.cols());
  for (Index i = 0; i < x.rows(); ++i)
    for (Index j = 0; j < x.cols(); ++j) x(i, j) = decode(FormatId::e4m3, q(i, j)) * static_cast<float>(s(i, j / 128));
  return x;
}

/// SwiGLU's inputs kept in FP8, and h from what was kept.
Tensors kept(const Case& c, Power power) {
  Tensors out;
  std::map<std::string, FloatMatrix> back;
  for (const std::string name : {"gate", "up"}) {
    const Tensors t = quantised(float_matrix(c.in(name)), 1, 128, power);
    out[name + "_q"] = t.at("q"), out[name + "_s"] = t.at("s");
    Case codes_alone = c;
    codes_alone.inputs = t;
    back[name] = dequantised(codes_alone);
  }
  FloatMatrix h = back["gate"];
  for (Index i = 0; i < h.size(); ++i) {
    const float a = h.data()[i];
    h.data()[i] = a / (1 + std::exp(-a)) * back["up"].data()[i];
  }
  out["h"] = tensor(h);
  return out;
}

/// Which parts of a gate somebody forgot.
struct Forgotten {
  bool bias = false, groups = false, scaling = false;
};

/// Top-4 of 32 experts in 2 of 4 groups, with scaling 2.5.
Tensors gated(const Numbers& s, const Doubles& b, Forgotten forgotten) {
  const Index T = std::ssize(s.x) / s.cols, N = s.cols, size = N / 4;
  std::vector<std::int64_t> experts;
  FloatMatrix weights(T, 4);
  for (Index t = 0; t < T; ++t) {
    std::vector<float> v;
    for (Index e = 0; e < N; ++e)
      v.push_back(static_cast<float>(s(t, e)) +
                  (forgotten.bias ? 0 : static_cast<float>(b[static_cast<std::size_t>(e)])));
    std::vector<std::pair<float, Index>> groups;
    for (Index g = 0; g < 4; ++g) {
      std::vector<float> best(v.begin() + g * size, v.begin() + (g + 1) * size);
      std::ranges::sort(best, std::greater{});
      groups.emplace_back(-(best[0] + best[1]), g);
    }
    std::ranges::sort(groups);
    std::vector<std::pair<float, Index>> order;
    for (Index e = 0; e < N; ++e)
      if (forgotten.groups || e / size == groups[0].second || e / size == groups[1].second)
        order.emplace_back(-v[static_cast<std::size_t>(e)], e);
    std::ranges::sort(order);
    float sum = 0;
    for (std::size_t k = 0; k < 4; ++k) sum += static_cast<float>(s(t, order[k].second));
    for (std::size_t k = 0; k < 4; ++k) {
      experts.push_back(order[k].second);
      const float share = static_cast<float>(s(t, order[k].second)) / sum;
      weights(t, static_cast<Index>(k)) = forgotten.scaling ? share : 2.5f * share;
    }
  }
  return {{"experts", tensor(experts, {T, 4})}, {"weights", tensor(weights)}};
}

Tensors gated(const Case& c, Forgotten forgotten) {
  if (c.inputs.contains("s")) return gated(Numbers(c.in("s")), values(c.in("b")), forgotten);
  const FloatMatrix x = float_matrix(c.in("x")), W = float_matrix(c.in("W"));
  FloatMatrix s(x.rows(), W.rows());
  for (Index t = 0; t < s.rows(); ++t)
    for (Index e = 0; e < s.cols(); ++e) {
      float logit = 0;
      for (Index k = 0; k < x.cols(); ++k) logit += x(t, k) * W(e, k);
      s(t, e) = 1 / (1 + std::exp(-logit));
    }
  return gated(Numbers(tensor(s)), values(c.in("b")), forgotten);
}

/// torch.nn.functional.gelu(x, approximate="tanh") in FP32.
float gelu(float x) {
  const float inner = 0.7978845608f * (x + 0.044715f * (x * x * x));
  return 0.5f * x * (1.0f + std::tanh(inner));
}

}  // namespace

TEST_CASE("find: powers of two as scales, rounded down or to the nearest, are named in every op that has scales") {
  const std::vector<std::pair<Power, const char*>> readings{{down, "ue8m0_floor"}, {nearest, "ue8m0_nearest"}};
  for (const auto& [power, name] : readings)
    for (const char* needed : {"fp32", "ue8m0_ceil"}) {
      CAPTURE(name);
      CAPTURE(needed);
      const Attributes as_needed{{"scale", word(needed)}};
      const std::string reading = std::string("equal bit for bit: scale=") + name + " instead of " + needed;
      for (const char* kind : {"ordinary", "ragged"}) {
        const Case q = case_of("quantise", kind, {}, as_needed), r = case_of("requantise", kind, {}, as_needed);
        CHECK(first_named(op_named("quantise"), q, quantised(float_matrix(q.in("x")), 1, 128, power)) == reading);
        CHECK(first_named(op_named("requantise"), r, quantised(dequantised(r), 128, 1, power)) == reading);
      }
      const Case c = case_of("swiglu_fp8_cached", "ordinary", {}, as_needed);
      CHECK(says(first_named(op_named("swiglu_fp8_cached"), c, kept(c, power)),
                 std::string(": scale=") + name + " instead of " + needed));
    }
}

TEST_CASE("find: a gate without the bias, without groups or without the scaling factor is named") {
  for (const char* op : {"gate", "gate_select"}) {
    const auto named = [&](Forgotten forgotten) {
      const Case c = case_of(op, "ordinary");
      return first_named(op_named(op), c, gated(c, forgotten));
    };
    CAPTURE(op);
    CHECK(says(named({.bias = true}), ": bias=ignored instead of selection"));
    CHECK(says(named({.groups = true}), ": groups=ignored instead of limited"));
    CHECK(says(named({.scaling = true}), ": scaled=never instead of after"));
  }
}

TEST_CASE("swiglu: GELU's tanh form as PyTorch computes it in FP32 is within the bounds of that reading, and named") {
  const Op& op = op_named("swiglu");
  for (const char* kind : {"ordinary", "ragged", "saturated", "flat", "sizes", "outliers", "zeros"}) {
    CAPTURE(kind);
    const Case c = case_of("swiglu", kind), as_gelu = case_of("swiglu", kind, {}, {{"activation", word("gelu_tanh")}});
    FloatMatrix h = float_matrix(c.in("gate"));
    const FloatMatrix up = float_matrix(c.in("up"));
    for (Index i = 0; i < h.size(); ++i) h.data()[i] = gelu(h.data()[i]) * up.data()[i];
    const Verdict verdict = judge(op, as_gelu, {{"h", tensor(h)}});
    INFO(text(verdict));
    CHECK(verdict.agreement != Agreement::outside);
    CHECK(says(first_named(op, c, {{"h", tensor(h)}}), ": activation=gelu_tanh instead of silu"));
  }
}
