// SPDX-License-Identifier: MIT
#include "tests/oracle/answers.hpp"

using namespace dsv3;
using namespace dsv3::oracle;

TEST_CASE("fp8 products: scales taken for divisors, and W's read by columns, are found, dense and grouped") {
  for (const char* op : {"fp8_fprop", "fp8_dgrad", "fp8_grouped_fprop", "fp8_grouped_dgrad"}) {
    CAPTURE(op);
    CHECK(says(found(op, "square", {{"scales", word("divide")}}), "scales=divide"));
    CHECK(says(found(op, "square", {{"W_scales", word("transposed")}}), "W_scales=transposed"));
  }
  for (const char* op : {"fp8_wgrad", "fp8_grouped_wgrad"})
    CHECK(says(found(op, "ordinary", {{"scales", word("divide")}}), "scales=divide"));
}

TEST_CASE("grouped fp8 products: each expert's rows are the dense product's, bit for bit") {
  const Op &grouped = op_named("fp8_grouped_fprop"), &dense = op_named("fp8_fprop");
  const Case c = drawn(grouped, "ragged", 4, {}, {});
  const FloatMatrix y = float_matrix(run(grouped, c).at("y")), x_s = float_matrix(c.in("x_s"));
  const Codes x = codes(c.in("x_q")), W = codes(c.in("W_q"));
  const FloatMatrix W_s = float_matrix(c.in("W_s"));
  const Index N = c.sizes.at("N"), s_rows = num_groups(N, 128);
  Index begin = 0;
  for (Index e = 0; e < c.sizes.at("E"); ++e) {
    const Index count = integers(c.in("counts"))[static_cast<std::size_t>(e)];
    const Tensors inputs{{"x_q", tensor(Dtype::f8_e4m3, Codes(x.middleRows(begin, count)))},
                         {"x_s", tensor(FloatMatrix(x_s.middleRows(begin, count)))},
                         {"W_q", tensor(Dtype::f8_e4m3, Codes(W.middleRows(e * N, N)))},
                         {"W_s", tensor(FloatMatrix(W_s.middleRows(e * s_rows, s_rows)))}};
    CHECK(float_matrix(run(dense, checked(dense, inputs, {})).at("y")) == y.middleRows(begin, count));
    begin += count;
  }
  Tensors wrong = c.inputs;
  for (const std::vector<std::int64_t>& counts :
       {std::vector<std::int64_t>{20, -1, 0}, {0, 0, 0}, {19, std::int64_t{1} << 62, 0}}) {
    wrong["counts"] = tensor(counts, {3});
    CHECK_THROWS_AS(answer("fp8_grouped_fprop", wrong), std::invalid_argument);
  }
  Tensors unaligned = drawn(op_named("fp8_grouped_wgrad"), "ordinary", 1, {}, {}).inputs;
  unaligned["counts"] = tensor(std::vector<std::int64_t>{100, 540, 0, 0}, {4});
  CHECK_THROWS_AS(answer("fp8_grouped_wgrad", unaligned), std::invalid_argument);
}
