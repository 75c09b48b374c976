// SPDX-License-Identifier: MIT
#include "reference/model/loss.hpp"

#include <cmath>
#include <vector>

#include "reference/core/random.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("head_loss: two tokens by hand; a target of -1 does not count") {
  const Matrix W = matrix({{1, 0}, {0, 1}, {0, 0}}), h = matrix({{std::log(2.0), std::log(3.0)}, {0, 0}, {5, 5}});
  const std::vector<Token> targets = {1, 2, no_target};
  const HeadLoss loss = head_loss(W, h, targets);  // P = [2, 3, 1] / 6 and [1, 1, 1] / 3
  CHECK(loss.sum == doctest::Approx(std::log(2.0) + std::log(3.0)).epsilon(1e-6));
  CHECK(loss.count == 2);
}

TEST_CASE("head_loss: large logits neither overflow nor lose the difference") {
  const std::vector<Token> targets = {1};
  const HeadLoss loss = head_loss(matrix({{1000}, {998}}), matrix({{1}}), targets);
  CHECK(loss.sum == doctest::Approx(2 + std::log1p(std::exp(-2.0))).epsilon(1e-6));
}

TEST_CASE("head_loss: the chunk changes nothing; gradients are weight (softmax - one-hot)") {
  const Matrix W = probe(11, 6, 1), h = probe(10, 6, 2);
  std::vector<Token> targets = {3, 0, 10, 5, no_target, 1, 1, 9, 2, 4};
  Matrix dW = Matrix::Zero(11, 6), dh, dW_chunked = dW, dh_chunked;
  const double weight = 0.25;
  const HeadLoss whole = head_loss_and_gradients(W, dW, h, dh, targets, weight);
  const HeadLoss chunked = head_loss_and_gradients(W, dW_chunked, h, dh_chunked, targets, weight, Precision::fp32, 3);
  CHECK(chunked.sum == doctest::Approx(whole.sum).epsilon(1e-6));
  CHECK(head_loss(W, h, targets, Precision::fp32, 4).sum == doctest::Approx(whole.sum).epsilon(1e-6));
  CHECK(outside(dh, dh_chunked, 1e-6) == "");
  CHECK(outside(dW, dW_chunked, 1e-5) == "");  // sums over 10 rows in another grouping, float

  Matrix expected = Matrix::Zero(10, 6);  // dh by the definition, in double
  for (Index i = 0; i < 10; ++i) {
    if (targets[i] == no_target) continue;
    std::vector<double> e(11);
    double sum = 0;
    for (Index v = 0; v < 11; ++v) {
      double logit = 0;
      for (Index j = 0; j < 6; ++j) logit += double{W(v, j)} * double{h(i, j)};
      sum += e[v] = std::exp(logit);
    }
    for (Index v = 0; v < 11; ++v)
      for (Index j = 0; j < 6; ++j)
        expected(i, j) += static_cast<real>(weight * (e[v] / sum - (v == targets[i])) * double{W(v, j)});
  }
  CHECK(outside(dh, expected, 2e-6) == "");
}

TEST_CASE("head_loss in bf16: operands, the logits' gradient and dh are rounded, dW is not; every number by hand") {
  // No h meets W's columns that are not 0, so every P is 1/3. 1.25 P = 213.33/512 is rounded to g = 213/512, and
  // 1.25 (P - 1) to -2g. 1 + 2^-8 and 1 + 2^-10 are rounded to 1.
  const Matrix W = matrix({{1, 0, 0, 0}, {0, 1, 0, 0}, {1, 1 + 3 * 0x1p-7, 1 + 0x1p-8, 0}});
  const Matrix h = matrix({{0, 0, 0, 1 + 0x1p-10}, {0, 0, 0, 3}, {0, 0, 0, 5}});
  const std::vector<Token> targets = {0, 1, no_target};
  Matrix dW = Matrix::Ones(3, 4), dh;
  const HeadLoss loss = head_loss_and_gradients(W, dW, h, dh, targets, 1.25, Precision::bf16);
  CHECK(loss.sum == doctest::Approx(2 * std::log(3.0)).epsilon(1e-6));
  const double g = 213.0 / 512;
  // dh[0][1] = 2g + 3/128 g = 215.496/256 and dh[1][1] = -g + 3/128 g = -208.008/512, rounded
  CHECK(different(dh, matrix({{-g, 215.0 / 256, g, 0}, {2 * g, -208.0 / 512, g, 0}, {0, 0, 0, 0}})) == "");
  // dW += d_logits h^T: h is 1 and 3, and 1 + g = 725/512 has more digits than BF16
  CHECK(different(dW, matrix({{1, 1, 1, 1 + g}, {1, 1, 1, 1 - 5 * g}, {1, 1, 1, 1 + 4 * g}})) == "");
}

TEST_CASE("head_loss: a target outside the vocabulary is named") {
  const std::vector<Token> targets = {7};
  CHECK_THROWS_WITH(head_loss(Matrix(5, 2), Matrix(1, 2), targets), "head_loss: target 7 is outside 0 to 4");
}
