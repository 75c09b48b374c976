// SPDX-License-Identifier: MIT
// The types that outputs may be written in.
#include "tests/oracle/answers.hpp"

using namespace dsv3;
using namespace dsv3::oracle;

namespace {

Tensor in_f64(const Tensor& t) {
  const auto numbers = std::make_shared<Doubles>(values(t));
  return {Dtype::f64, t.shape, std::as_bytes(std::span(*numbers)), numbers};
}

/// BF16 by leaving out the last 16 bits.
Tensor cut_off(const Tensor& t) {
  FloatMatrix m = float_matrix(t);
  for (Index i = 0; i < m.size(); ++i)
    m.data()[i] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(m.data()[i]) & 0xFFFF0000u);
  return rounded(Dtype::bf16, m, t.shape);
}

Agreement agreement(const Op& op, const Case& c, const Tensors& ours, const std::string& name, const Tensor& theirs) {
  Tensors all = ours;
  all[name] = theirs;
  const Verdict verdict = judge(op, c, all);
  return std::ranges::find(verdict.tensors, name, &TensorVerdict::name)->agreement;
}

}  // namespace

TEST_CASE("types: FP32 outputs with bounds may be written in BF16, FP16 or F64, rounded to nearest, not cut off") {
  for (const auto& [name, output] : {std::pair("fp8_fprop", "y"), {"permute", "rows"}, {"dequantise", "x"}}) {
    CAPTURE(name);
    const Op& op = op_named(name);
    const Case c = drawn(op, "ordinary", 1, {}, {});
    const Tensors ours = run(op, c);
    const Tensor& t = ours.at(output);
    const auto agrees = [&](const Tensor& theirs) { return agreement(op, c, ours, output, theirs); };
    CHECK(agrees(t) == Agreement::bits);
    CHECK(agrees(in_f64(t)) == Agreement::bits);
    CHECK(agrees(rounded(Dtype::bf16, float_matrix(t), t.shape)) <= Agreement::within);
    CHECK(agrees(rounded(Dtype::f16, float_matrix(t), t.shape)) <= Agreement::within);
    CHECK(agrees(cut_off(t)) == Agreement::outside);
  }
}

TEST_CASE("types: where every bit is defined only the type itself will do; I32 for indices of I64") {
  const Op& quantise = op_named("quantise");
  const Case c = drawn(quantise, "ordinary", 1, {}, {});
  const Tensors ours = run(quantise, c);
  const Tensor s = ours.at("s");
  for (const Tensor& other : {in_f64(s), rounded(Dtype::bf16, float_matrix(s), s.shape)})
    CHECK(agreement(quantise, c, ours, "s", other) == Agreement::outside);
  const Op& permute = op_named("permute");
  const Case p = drawn(permute, "ordinary", 1, {}, {});
  const Tensors sorted = run(permute, p);
  std::vector<std::int32_t> narrow;
  for (const std::int64_t n : integers(sorted.at("row_of"))) narrow.push_back(static_cast<std::int32_t>(n));
  const Tensor row_of{Dtype::i32, sorted.at("row_of").shape, std::as_bytes(std::span(narrow)), {}};
  CHECK(agreement(permute, p, sorted, "row_of", row_of) == Agreement::bits);
  CHECK(agreement(permute, p, sorted, "row_of", in_f64(sorted.at("row_of"))) == Agreement::outside);
}
