// SPDX-License-Identifier: MIT
#include "reference/linear/linear.hpp"
#include "reference/rope/rope.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// YaRN on, a ramp with values between 0 and 1, and a factor on cos and sin that is not 1.
const RopeConfig yarn{.width = 8,
                      .theta = 100,
                      .max_length = 128,
                      .yarn = YarnConfig{.factor = 8, .original_length = 64, .beta_fast = 4, .mscale = 0.5}};
const RopeConfig plain{.width = 8, .max_length = 128};
constexpr RopeLayout layouts[] = {RopeLayout::interleaved, RopeLayout::half};

Matrix rotated(const RopeConfig& config, Matrix x, Index position, RopeLayout layout = RopeLayout::interleaved) {
  Sequences row;
  row.add(x.rows(), position);
  RopeTable(config, row).rotate(x, layout);
  return x;
}

double dot(const Matrix& a, const Matrix& b) { return (a.array() * b.array()).sum(); }

}  // namespace

TEST_CASE("RoPE: the length of every pair is kept") {
  const Matrix x = probe(5, 8, 1), y = rotated(plain, x, 17);
  for (Index t = 0; t < 5; ++t)
    for (Index i = 0; i < 8; i += 2)  // 1e-15: four roundings near 1
      CHECK(std::hypot(x(t, i), x(t, i + 1)) == doctest::Approx(std::hypot(y(t, i), y(t, i + 1))).epsilon(1e-15));
}

TEST_CASE("RoPE: the score of a query at m and a key at n depends on m - n only") {
  const Matrix q = probe(1, 8, 1), k = probe(1, 8, 2);
  for (const RopeConfig& config : {plain, yarn})
    for (const RopeLayout layout : layouts) {
      const double score = dot(rotated(config, q, 9, layout), rotated(config, k, 4, layout));
      for (const Index shift : {-4, 1, 40, 118})  // 1e-13: eight terms near 1, angles near 100
        CHECK(std::abs(dot(rotated(config, q, 9 + shift, layout), rotated(config, k, 4 + shift, layout)) - score) <
              1e-13);
      CHECK(std::abs(dot(rotated(config, q, 10, layout), rotated(config, k, 4, layout)) - score) > 1e-3);
    }
}

TEST_CASE("RoPE: rotate_back is the transpose, with the factor on cos and sin in it") {
  for (const RopeConfig& config : {plain, yarn})
    for (const RopeLayout layout : layouts) {
      const RopeTable rope(config, Sequences::uniform(2, 30));
      const Matrix x = probe(60, 24, 1), dy = probe(60, 24, 2);
      Matrix y = x, dx = dy;
      rope.rotate(y, layout);
      rope.rotate_back(dx, layout);
      CHECK(std::abs(dot(y, dy) - dot(x, dx)) < 1e-12);  // 1440 terms near 1
    }
}

TEST_CASE("RoPE: with mscale 0.5 and mscale_all_dim 1 every pair becomes longer by their ratio") {
  const Matrix x = probe(1, 8, 1), y = rotated(yarn, x, 20);
  CHECK(y.norm() / x.norm() == doctest::Approx(cos_sin_factor(yarn)).epsilon(1e-14));
  CHECK(cos_sin_factor(yarn) < 0.95);
}

TEST_CASE("RoPE: reordered weights in the half layout make the same scores, rotating the others in it does not") {
  const Matrix W_QR = probe(16, 5, 1), W_KR = probe(8, 5, 2), h = probe(1, 5, 3);
  const auto to_half = [](const Matrix& W) { return reorder_rows(W, 8, RopeLayout::interleaved, RopeLayout::half); };
  const Matrix q = rotated(plain, fprop(W_QR, h), 13), k = rotated(plain, fprop(W_KR, h), 6);
  const Matrix q_half = rotated(plain, fprop(to_half(W_QR), h), 13, RopeLayout::half);
  const Matrix k_half = rotated(plain, fprop(to_half(W_KR), h), 6, RopeLayout::half);
  CHECK(outside(q_half, reorder_channels(q, 8, RopeLayout::interleaved, RopeLayout::half), 1e-14) == "");
  for (Index head : {0, 1})
    CHECK(std::abs(dot(q.middleCols(8 * head, 8), k) - dot(q_half.middleCols(8 * head, 8), k_half)) < 1e-13);

  const Matrix q_wrong = rotated(plain, fprop(W_QR, h), 13, RopeLayout::half);
  const Matrix k_wrong = rotated(plain, fprop(W_KR, h), 6, RopeLayout::half);
  CHECK(std::abs(dot(q.leftCols(8), k) - dot(q_wrong.leftCols(8), k_wrong)) > 1e-3);
}
