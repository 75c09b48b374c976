// SPDX-License-Identifier: MIT
#include "tests/oracle/answers.hpp"

using namespace dsv3;
using namespace dsv3::oracle;

TEST_CASE("mtp_input: by hand, both orders") {
  // Norms of [3, 4] and [0, 2]: [3, 4] / sqrt(12.5) and [0, sqrt(2)].
  const Tensors inputs{{"h", row({3, 4}, {1, 2})},
                       {"e", row({0, 2}, {1, 2})},
                       {"g_h", row({1, 2}, {2})},
                       {"g_e", row({1, 10}, {2})},
                       {"M", row({1, 0, 0, 0, 0, 1, 0, 1}, {2, 4})}};
  const double h_0 = 3 / std::sqrt(12.5), h_1 = 2 * 4 / std::sqrt(12.5), e_1 = 10 * std::sqrt(2.0);
  check_values(answer("mtp_input", inputs).at("h_prime"), {h_0, h_1 + e_1}, 1e-6);
  check_values(answer("mtp_input", inputs, {{"order", word("embedding_hidden")}}).at("h_prime"), {0, e_1 + h_1}, 1e-6);
  check_values(answer("mtp_input", inputs, {{"norms", word("none")}}).at("h_prime"), {3, 4 + 2}, 0);
}

TEST_CASE("mtp_input: the other order, missing norms and other eps are found, forward and backward") {
  for (const char* op : {"mtp_input", "mtp_input_backward"}) {
    CAPTURE(op);
    CHECK(says(found(op, "ordinary", {{"order", word("embedding_hidden")}}), "order=embedding_hidden"));
    CHECK(says(found(op, "ordinary", {{"norms", word("hidden")}}), "norms=hidden"));
    CHECK(says(found(op, "small", {{"eps", 1e-5}}), "eps=1e-05"));
  }
}

TEST_CASE("linear: by hand; a transposed weight and other roundings are found") {
  const Tensors inputs{{"x", row({1, 257, 0, 1}, {2, 2})}, {"W", row({2, 1, -1, 1}, {2, 2})}};
  check_values(answer("linear", inputs).at("y"), {259, 256, 1, 1}, 0);
  check_values(answer("linear", inputs, {{"precision", word("bf16")}}).at("y"), {258, 255, 1, 1}, 0);  // 257 is 256
  check_values(answer("linear", inputs, {{"W_layout", word("in_out")}}).at("y"), {-255, 258, -1, 1}, 0);
  Tensors with_dy = inputs;
  with_dy["dy"] = row({1, 0, 0, 2}, {2, 2});
  check_values(answer("linear_backward", with_dy).at("dx"), {2, 1, -2, 2}, 0);
  check_values(answer("linear_backward", with_dy).at("dW"), {1, 257, 0, 2}, 0);
  for (const char* op : {"linear", "linear_backward"}) {
    CAPTURE(op);
    CHECK(says(found(op, "ordinary", {{"precision", word("bf16")}}), "precision=bf16"));
    CHECK(says(found(op, "bf16", {{"result", word("fp32")}}), "result=fp32"));
    CHECK(says(found(op, "square", {{"W_layout", word("in_out")}}), "W_layout=in_out"));
  }
  CHECK_THROWS_AS(
      answer("linear", drawn(op_named("linear"), "ordinary", 1, {}, {}).inputs, {{"W_layout", word("in_out")}}),
      std::invalid_argument);
}
