// SPDX-License-Identifier: MIT
#include "reference/oracle/verdict.hpp"
#include "reference/oracle/registry.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "reference/core/require.hpp"

using namespace dsv3;
using namespace dsv3::oracle;

namespace {

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN(),
                infinity = std::numeric_limits<float>::infinity();

/// An op with one output y, which these tests judge without running it.
Op op_with_y() {
  Op op;
  op.name = "op";
  op.outputs = {{"y", {Dtype::f32}, {"M", "N"}, ""}};
  return op;
}

TensorVerdict judged(const Tensor& ours, const Tensor& theirs, const Limit& limit) {
  return judge(op_with_y(), {{"y", ours}}, {{"y", limit}}, {{"y", theirs}}).tensors[0];
}

FloatMatrix ramp(Index rows, Index cols) {
  FloatMatrix m(rows, cols);
  for (Index i = 0; i < m.size(); ++i) m.data()[i] = 1 + static_cast<float>(i) / 64;
  return m;
}

Limit everywhere(const FloatMatrix& m, double bound) { return {.bound = Doubles(m.size(), bound)}; }

}  // namespace

TEST_CASE("verdict: bits means bits: -0 is not 0, but one NaN is as good as another") {
  FloatMatrix a = ramp(3, 4), b = a;
  a(1, 2) = std::copysign(not_a_number, 1.0f), b(1, 2) = std::copysign(not_a_number, -1.0f);
  CHECK(judged(tensor(a), tensor(b), {}).agreement == Agreement::bits);
  a(0, 0) = 0.0f, b(0, 0) = -0.0f;
  const TensorVerdict v = judged(tensor(a), tensor(b), {});
  CHECK(v.agreement == Agreement::outside);
  CHECK(v.outside == 1);
  CHECK(v.index == std::vector<Index>{0, 0});
}

TEST_CASE("verdict: within the bound, at it, beyond it; the first element outside with both values, ulps and bound") {
  const FloatMatrix a = ramp(4, 8);
  FloatMatrix b = a;
  b(1, 3) += 0x1p-10f;
  CHECK(judged(tensor(a), tensor(b), everywhere(a, 0x1p-10)).agreement == Agreement::within);
  b(2, 5) -= 0x1p-9f, b(3, 1) -= 0x1p-8f;
  const TensorVerdict v = judged(tensor(a), tensor(b), everywhere(a, 0x1p-10));
  CHECK(v.agreement == Agreement::outside);
  CHECK(v.different == 3);
  CHECK(v.outside == 2);
  CHECK(v.index == std::vector<Index>{2, 5});
  CHECK(v.ours == a(2, 5));
  CHECK(v.theirs == b(2, 5));
  CHECK(v.ulps == 0x1p-9 / 0x1p-23);
  CHECK(v.share == 4);
}

TEST_CASE("verdict: NaN and infinity agree only with themselves, whatever the bound") {
  const FloatMatrix a = ramp(2, 2);
  for (const float bad : {not_a_number, infinity, -infinity}) {
    FloatMatrix b = a;
    b(1, 1) = bad;
    CHECK(judged(tensor(a), tensor(b), everywhere(a, 1e30)).agreement == Agreement::outside);
    CHECK(judged(tensor(b), tensor(a), everywhere(a, 1e30)).agreement == Agreement::outside);
    CHECK(judged(tensor(a), tensor(b), everywhere(a, infinity)).agreement == Agreement::outside);
    CHECK(judged(tensor(b), tensor(b), everywhere(a, 0)).agreement == Agreement::bits);
  }
}

TEST_CASE("verdict: a result in BF16 may be half a step off; cut instead of rounded it is outside") {
  FloatMatrix a(1, 64);
  for (Index j = 0; j < 64; ++j) a(0, j) = 1 + static_cast<float>(j) * 0x1.2p-12f;
  const Limit limit = everywhere(a, 1e-6);
  CHECK(judged(tensor(a), rounded(Dtype::bf16, a, {1, 64}), limit).agreement == Agreement::within);
  const FloatMatrix cut = a.unaryExpr([](float x) { return std::floor(x * 128) / 128; });
  CHECK(judged(tensor(a), rounded(Dtype::bf16, cut, {1, 64}), limit).agreement == Agreement::outside);
}

TEST_CASE("verdict: many elements each within the bound, but together farther off than the spread, are outside") {
  const FloatMatrix a = ramp(8, 8);
  const FloatMatrix b = (a.array() + 0x1p-12f).matrix();
  Limit limit = everywhere(a, 0x1p-10);
  limit.spread.assign(64, 0x1p-12);
  CHECK(judged(tensor(a), tensor(b), limit).agreement == Agreement::within);
  limit.spread.assign(64, 0x1p-13);
  const TensorVerdict v = judged(tensor(a), tensor(b), limit);
  CHECK(v.agreement == Agreement::outside);
  CHECK(v.outside == 0);
  CHECK(v.rms == doctest::Approx(2 / (1 + 1.0 / 8)));  // chance has a say over 64 elements
}

TEST_CASE("verdict: another shape or type, a missing and an unknown tensor") {
  const Tensor y = tensor(ramp(2, 3));
  CHECK(judged(y, tensor(ramp(3, 2)), {}).why == "has the shape [3, 2]; it must be [2, 3]");
  CHECK(judged(y, rounded(Dtype::bf16, ramp(2, 3), {2, 3}), {}).why == "is BF16; it must be F32");
  const Tensor in_e4m3 = tensor(Dtype::f8_e4m3, Codes::Zero(2, 3));
  CHECK(judged(y, in_e4m3, everywhere(ramp(2, 3), 1e9)).why == "is F8_E4M3; it must be F32");
  CHECK(judge(op_with_y(), {{"y", y}}, {{"y", Limit{}}}, {}).tensors[0].why == "is missing");
  CHECK_THROWS_AS(judge(op_with_y(), {{"y", y}}, {{"y", Limit{}}}, {{"z", y}}), std::invalid_argument);
}

TEST_CASE("verdict: says where the wrong elements sit") {
  const auto where = [](Index rows, Index cols, const auto& is_wrong) {
    const FloatMatrix a = ramp(rows, cols);
    FloatMatrix b = a;
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < cols; ++j)
        if (is_wrong(i, j)) b(i, j) += 1;
    return judged(tensor(a), tensor(b), {}).places.at(0).where;
  };
  CHECK(where(5, 7, [](Index i, Index) { return i == 3; }) == "row 3");
  CHECK(where(5, 7, [](Index, Index j) { return j == 6; }) == "column 6");
  CHECK(where(5, 300, [](Index i, Index j) { return j >= 256 && (i + j) % 3 == 0; }) ==
        "the last 44 columns, a block of their own");
  CHECK(where(200, 4, [](Index i, Index) { return i >= 128; }) == "the last 72 rows, a block of their own");
  CHECK(where(3, 512, [](Index, Index j) { return j % 128 == 127; }) == "last columns of blocks of 128");
  CHECK(where(3, 512, [](Index, Index j) { return j % 128 == 0; }) == "first columns of blocks of 128");
  CHECK(where(6, 64, [](Index, Index j) { return j % 2 == 1; }) == "odd columns");
  CHECK(where(6, 64, [](Index, Index j) { return j >= 32; }) == "the second half of the columns");
  CHECK(where(6, 64, [](Index, Index) { return true; }) == "everywhere");
}

TEST_CASE(
    "verdict: a token that reaches one expert twice is outside, also where rounding would excuse another choice") {
  const Op& op = op_named("gate");
  const Case c = drawn(op, "near_ties", 1, {}, {});
  const Tensors ours = run(op, c);
  for (Index token = 0; token < 32; ++token) {
    std::vector<std::int64_t> experts = integers(ours.at("experts"));
    experts[static_cast<std::size_t>(4 * token + 1)] = experts[static_cast<std::size_t>(4 * token)];
    Tensors theirs = ours;
    theirs["experts"] = tensor(experts, {32, 4});
    CAPTURE(token);
    CHECK(judge(op, c, theirs).agreement == Agreement::outside);
  }
}

TEST_CASE("verdict: what has our bits is ours, also where FP32 overflows and the twin does not") {
  const Op& op = op_named("rms_norm");
  Tensors inputs = drawn(op, "ordinary", 1, {}, {}).inputs;
  inputs["x"] = tensor(FloatMatrix(1e20f * float_matrix(inputs.at("x"))));
  const Case c = checked(op, inputs, {});
  CHECK(judge(op, c, run(op, c)).agreement == Agreement::bits);
}

TEST_CASE("verdict: indices may be I32 where ours are I64") {
  const Op& op = op_named("gate_select");
  const Case c = drawn(op, "ties", 1, {}, {});
  Tensors theirs = run(op, c);
  const std::vector<std::int64_t> wide = integers(theirs.at("experts"));
  const std::vector<std::int32_t> narrow(wide.begin(), wide.end());
  Tensor& t = theirs.at("experts");
  t.dtype = Dtype::i32, t.bytes = std::as_bytes(std::span(narrow)), t.owner = nullptr;
  CHECK(judge(op, c, theirs).agreement == Agreement::bits);
}

TEST_CASE(
    "verdict: without scores of theirs, a choice that rounding can tip is accepted and one that a bias tips is not") {
  const Op& op = op_named("gate");
  const auto chosen = [&](const char* kind, float b) {  // by a gate whose even experts have a bias of b more
    const Case c = drawn(op, kind, 1, {}, {{"K_r", Index{3}}});
    Tensors inputs = c.inputs;
    FloatMatrix biases = float_matrix(inputs.at("b"));
    for (Index i = 0; i < biases.cols(); i += 2) biases(0, i) += b;
    inputs["b"] = tensor(biases, {biases.cols()});
    Tensors theirs = run(op, checked(op, inputs, c.attributes)), ours = run(op, c);
    auto a = integers(theirs.at("experts")), o = integers(ours.at("experts"));
    for (std::ptrdiff_t row = 0; row < std::ssize(a); row += 3)  // as sets: another order would be accepted anyway
      std::sort(a.begin() + row, a.begin() + row + 3), std::sort(o.begin() + row, o.begin() + row + 3);
    CHECK_FALSE(a == o);
    theirs.erase("s"), theirs.erase("margin");
    return judge(op, c, theirs).agreement;
  };
  CHECK(chosen("near_ties", 0x1p-19f) == Agreement::within);  // the odd ones are their neighbours but for a last bit
  CHECK(chosen("ordinary", 0.05f) == Agreement::outside);
}
