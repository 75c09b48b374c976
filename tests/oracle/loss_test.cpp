// SPDX-License-Identifier: MIT
#include "tests/oracle/answers.hpp"

using namespace dsv3;
using namespace dsv3::oracle;

TEST_CASE("cross_entropy: by hand, tokens that do not count, and what is refused") {
  // softmax of [0, ln 3] is [1/4, 3/4].
  const float l = std::log(3.0f);
  const auto inputs = [&](std::vector<std::int64_t> targets) {
    return Tensors{{"logits", row({0, l, 0, l, 0, l}, {3, 2})}, {"targets", tensor(targets, {3})}};
  };
  const double quarter = std::log(4.0), most = std::log(4.0 / 3);
  check_values(answer("cross_entropy", inputs({0, 1, -1})).at("loss"), {(quarter + most) / 2}, printed);
  check_values(answer("cross_entropy", inputs({0, 1, -1})).at("losses"), {quarter, most, 0}, printed);
  check_values(answer("cross_entropy", inputs({-1, -1, -1})).at("loss"), {0}, 0);
  check_values(answer("cross_entropy", inputs({0, -100, 1}), {{"ignored", Index{-100}}}).at("loss"),
               {(quarter + most) / 2}, printed);
  check_values(answer("cross_entropy", inputs({0, 1, -1}), {{"reduction", word("mean_of_all")}}).at("loss"),
               {(quarter + most) / 3}, printed);
  check_values(answer("cross_entropy", inputs({0, 1, 1}), {{"reduction", word("mean_less_one")}}).at("loss"),
               {(quarter + 2 * most) / 2}, printed);
  Tensors with_dloss = inputs({0, 1, -1});
  with_dloss["dloss"] = row({2}, {});
  check_values(answer("cross_entropy_backward", with_dloss).at("dlogits"), {-0.75, 0.75, 0.25, -0.25, 0, 0}, printed);
  for (const std::int64_t wrong : {std::int64_t{2}, std::int64_t{-100}, std::int64_t{1} << 40}) {
    CHECK_THROWS_AS(answer("cross_entropy", inputs({0, 1, wrong})), std::invalid_argument);
    CHECK_THROWS_AS(answer("cross_entropy", inputs({0, 1, wrong}), {{"logits_rounding", word("bf16")}}),
                    std::invalid_argument);
  }
}

TEST_CASE("cross_entropy: sums, other divisors and BF16 logits are found") {
  for (const char* op : {"cross_entropy", "cross_entropy_backward"}) {
    CHECK(says(found(op, "ordinary", {{"reduction", word("sum")}}), "reduction=sum instead of mean"));
    CHECK(says(found(op, "ignored", {{"reduction", word("mean_of_all")}}), "reduction=mean_of_all"));
    CHECK(says(found(op, "ordinary", {{"reduction", word("mean_less_one")}}), "reduction=mean_less_one"));
    CHECK(says(found(op, "ordinary", {{"logits_rounding", word("bf16")}}), "logits_rounding=bf16"));
  }
}

TEST_CASE("bias_update: counts [10, 2, 4, 8], equality, and 2^40 tokens more or less by one") {
  const auto updated = [](std::vector<std::int64_t> load, const Attributes& attributes = {}) {
    return answer("bias_update", {{"b", row({0, 0, 0, 0}, {4})}, {"load", tensor(load, {4})}}, attributes).at("b");
  };
  const double g = 0.001;
  check_values(updated({10, 2, 4, 8}), {-g, g, g, -g}, 1e-10);
  check_values(updated({6, 6, 5, 7}), {0, 0, g, -g}, 1e-10);
  check_values(updated({0, 0, 0, 0}), {0, 0, 0, 0}, 0);
  const std::int64_t many = std::int64_t{1} << 40;
  check_values(updated({many, many, many, many - 1}), {-g, -g, -g, g}, 1e-10);
  check_values(updated({10, 2, 4, 8}, {{"rule", word("proportional")}}), {-g * 4 / 6, g * 4 / 6, g * 2 / 6, -g * 2 / 6},
               1e-10);
  check_values(updated({10, 0, 4, 4}, {{"mean_over", word("loaded")}}), {-g, g, g, g}, 1e-10);
  // A mean of 2^24 + 0.75, which is 2^24 in FP32, and so is the load of 2^24 + 1.
  const std::int64_t last = 1 << 24;
  check_values(updated({last + 1, last + 2, last, last}), {-g, -g, g, g}, 1e-10);
  check_values(updated({last + 1, last + 2, last, last}, {{"compared", word("fp32")}}), {0, -g, 0, 0}, 1e-10);
  CHECK_THROWS_AS(updated({-1, 1, 1, 1}), std::invalid_argument);
  CHECK_THROWS_AS(updated({many + 1, 1, 1, 1}), std::invalid_argument);
}

TEST_CASE("bias_update: other rules are found, and a bias in BF16, which does not move") {
  CHECK(says(found("bias_update", "ordinary", {{"direction", word("away")}}), "direction=away"));
  CHECK(says(found("bias_update", "ordinary", {{"rule", word("proportional")}}), "rule=proportional"));
  CHECK(says(found("bias_update", "ordinary", {{"centred", word("yes")}}), "centred=yes"));
  CHECK(says(found("bias_update", "idle", {{"mean_over", word("loaded")}}), "mean_over=loaded"));
  CHECK(says(found("bias_update", "beyond_fp32", {{"compared", word("fp32")}}), "compared=fp32"));
  CHECK(says(found("bias_update", "released", {{"kept_in", word("bf16")}}), "kept_in=bf16"));
}

TEST_CASE("balance losses: the example on paper, sequence by sequence and as one batch") {
  const Tensors batch{{"s", row({.9F, .6F, .3F, .2F, .8F, .1F, .7F, .4F, .5F, .45F, .2F, .85F}, {3, 4})},
                      {"experts", tensor(std::vector<std::int64_t>{0, 1, 0, 2, 3, 0}, {3, 2})}};
  Tensors sequence = batch, split = batch;
  sequence["lengths"] = tensor(std::vector<std::int64_t>{3}, {1});
  split["lengths"] = tensor(std::vector<std::int64_t>{2, 0, 1}, {3});
  const Attributes alpha_1{{"alpha", 1.0}};
  for (const Tensors& t :
       {answer("batch_balance_loss", batch, alpha_1), answer("sequence_balance_loss", sequence, alpha_1),
        answer("batch_balance_loss", batch, {{"alpha", 1.0}, {"counted", word("routed")}})}) {
    check_values(t.at("loss"), {1.1555556}, printed);
    check_values(t.at("f"), {2, 2.0 / 3, 2.0 / 3, 2.0 / 3}, printed);
  }
  // Sequences of 2 tokens (f = [2, 1, 1, 0], P = [.425, .175, .25, .15]), of none, and of 1 (f = [2, 0, 0, 2]).
  check_values(answer("sequence_balance_loss", split, alpha_1).at("loss"), {1.275 + 1.35}, printed);
  Tensors wrong = split;
  wrong["lengths"] = tensor(std::vector<std::int64_t>{2, 2, -1}, {3});
  CHECK_THROWS_AS(answer("sequence_balance_loss", wrong), std::invalid_argument);
  wrong = batch;
  wrong["experts"] = tensor(std::vector<std::int64_t>{0, 1, 0, 2, 4, 0}, {3, 2});
  CHECK_THROWS_AS(answer("batch_balance_loss", wrong), std::invalid_argument);
}

TEST_CASE("balance losses: other factors, raw scores and routed counts are found, in the gradient too") {
  for (const char* op : {"sequence_balance_loss", "sequence_balance_loss_backward", "batch_balance_loss"}) {
    CAPTURE(op);
    CHECK(says(found(op, "ordinary", {{"f_scale", word("share")}}), "f_scale=share"));
    CHECK(says(found(op, "ordinary", {{"affinity", word("raw")}}), "affinity=raw"));
    CHECK(says(found(op, "ordinary", {{"counted", word("routed")}}), "counted=routed"));
    CHECK(says(found(op, "ordinary", {{"alpha", 1e-3}}), "alpha=0.001"));
  }
  CHECK(says(found("sequence_balance_loss", "ordinary", {{"over_sequences", word("mean")}}), "over_sequences=mean"));
}
