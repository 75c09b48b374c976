// SPDX-License-Identifier: MIT
#include "tests/oracle/answers.hpp"

using namespace dsv3;
using namespace dsv3::oracle;

TEST_CASE("permute and unpermute: three tokens by hand, one of which asks for an expert twice") {
  const Tensor experts = tensor(std::vector<std::int64_t>{2, 0, 2, 2, 0, 1}, {3, 2});
  const Tensors inputs{{"x", row({10, 20, 30}, {3, 1})}, {"experts", experts}};
  const Attributes four{{"N_r", Index{4}}};
  const Tensors t = answer("permute", inputs, four);
  check_values(t.at("rows"), {10, 30, 30, 10, 20, 20}, 0);
  CHECK(integers(t.at("counts")) == std::vector<std::int64_t>{2, 1, 3, 0});
  CHECK(integers(t.at("token_of_row")) == std::vector<std::int64_t>{0, 2, 2, 0, 1, 1});
  CHECK(integers(t.at("row_of")) == std::vector<std::int64_t>{3, 0, 4, 5, 1, 2});
  CHECK(integers(answer("permute", inputs, {{"N_r", Index{4}}, {"counts", word("offsets")}}).at("counts")) ==
        std::vector<std::int64_t>{0, 2, 3, 6});
  check_values(answer("permute", inputs, {{"N_r", Index{4}}, {"order", word("tokens_descending")}}).at("rows"),
               {30, 10, 30, 20, 20, 10}, 0);

  const Tensors back{{"experts", experts},
                     {"weights", row({0.5, 2, 1, 3, 0.25, 4}, {3, 2})},
                     {"rows", row({1, 2, 3, 4, 5, 6}, {6, 1})}};
  check_values(answer("unpermute", back, four).at("y"), {0.5 * 4 + 2 * 1, 5 + 3 * 6, 0.25 * 2 + 4 * 3}, 0);
  check_values(answer("unpermute", back, {{"N_r", Index{4}}, {"weighting", word("ignored")}}).at("y"), {5, 11, 5}, 0);
  check_values(answer("unpermute", back, {{"N_r", Index{4}}, {"duplicates", word("last")}}).at("y"), {4, 18, 12.5}, 0);
  Tensors with_dy = back;
  with_dy["dy"] = row({1, 10, 100}, {3, 1});
  const Tensors d = answer("unpermute_backward", with_dy, four);
  check_values(d.at("drows"), {2, 25, 400, 0.5, 10, 30}, 0);
  check_values(d.at("dweights"), {4, 1, 50, 60, 200, 300}, 0);

  for (const std::int64_t wrong : {std::int64_t{-1}, std::int64_t{4}, std::int64_t{1} << 62}) {
    Tensors refused = inputs, refused_back = back;
    refused["experts"] = refused_back["experts"] = tensor(std::vector<std::int64_t>{2, 0, 2, wrong, 0, 1}, {3, 2});
    for (const char* order : {"tokens", "slots"}) {
      const Attributes a{{"N_r", Index{4}}, {"order", word(order)}};
      CHECK_THROWS_AS(answer("permute", refused, a), std::invalid_argument);
      CHECK_THROWS_AS(answer("unpermute", refused_back, a), std::invalid_argument);
    }
  }
}

TEST_CASE("permute and unpermute: other orders and weights are found") {
  CHECK(says(found("permute", "ordinary", {{"order", word("slots")}}), "order=slots"));
  CHECK(says(found("permute", "ordinary", {{"counts", word("offsets")}}), "counts=offsets"));
  CHECK(says(found("unpermute", "ordinary", {{"order", word("tokens_descending")}}), "order=tokens_descending"));
  CHECK(says(found("unpermute", "ordinary", {{"weighting", word("ignored")}}), "weighting=ignored"));
  CHECK(says(found("unpermute", "duplicates", {{"duplicates", word("last")}}), "duplicates=last"));
  CHECK(says(found("unpermute", "ordinary", {{"weights_rounding", word("bf16")}}), "weights_rounding=bf16"));
  CHECK(says(found("unpermute_backward", "ordinary", {{"order", word("slots")}}), "order=slots"));
}

TEST_CASE("permute: the gradients of a token's rows may be added in any order, cancelling ones too") {
  const Op& op = op_named("permute_backward");
  const Tensors inputs{{"x", row({0}, {1, 1})},
                       {"experts", tensor(std::vector<std::int64_t>{0, 1, 2}, {1, 3})},
                       {"drows", row({1, -1, 1e-8F}, {3, 1})}};
  const Case c = checked(op, inputs, {});
  for (const float sum : {1e-8F, 0.0F})  // (1 - 1) + 1e-8 and (1e-8 + 1) - 1
    CHECK(judge(op, c, {{"dx", row({sum}, {1, 1})}}).agreement != Agreement::outside);
  CHECK(judge(op, c, {{"dx", row({1}, {1, 1})}}).agreement == Agreement::outside);
}
