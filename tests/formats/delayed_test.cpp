// SPDX-License-Identifier: MIT
#include "reference/formats/delayed.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace dsv3;

namespace {
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN();

FloatMatrix tensor(float amax) {
  FloatMatrix x = FloatMatrix::Constant(3, 5, amax / 4);
  x(2, 1) = -amax;
  return x;
}
}  // namespace

TEST_CASE("delayed: a tensor takes the scale of those before it, and saturates where it is larger") {
  AmaxHistory history(16);
  Quantised q = quantise_delayed(tensor(2), history);
  CHECK(q.s(0, 0) == 1);  // nothing was known
  CHECK(decode(q.format, q.q(2, 1)) == -2);
  CHECK(history.factor() == 224);
  q = quantise_delayed(tensor(8), history);
  CHECK(q.s(0, 0) == 1.0f / 224);
  CHECK(decode(q.format, q.q(2, 1)) == -448);  // 8 * 224
  CHECK(decode(q.format, q.q(0, 0)) == 448);
  CHECK(dequantise(q)(2, 1) == -448.0f * (1.0f / 224));
  CHECK(history.factor() == 56);
  CHECK(q.groups == per_tensor(3, 5));
}

TEST_CASE("delayed: the largest of the last `length`, or the most recent") {
  AmaxHistory largest(3), recent(3, AmaxHistory::Use::most_recent);
  const std::pair<float, float> steps[] = {{4, 4}, {7, 7}, {1, 7}, {2, 7}, {1, 2}, {1, 2}, {1, 1}};
  for (const auto& [amax, max_of_three] : steps) {
    largest.record(amax);
    recent.record(amax);
    CHECK(largest.factor() == 448 / max_of_three);
    CHECK(recent.factor() == 448 / amax);
  }
}

TEST_CASE("delayed: the margin leaves powers of two, E5M2 has its own largest value") {
  AmaxHistory history(4, AmaxHistory::Use::max, 3);
  history.record(7);
  CHECK(history.factor() == 8);
  AmaxHistory of_gradients(4, AmaxHistory::Use::max, 0, FormatId::e5m2);
  of_gradients.record(7);
  CHECK(of_gradients.factor() == 8192);
}

TEST_CASE("delayed: zero, infinite and NaN tensors leave the scale as it is") {
  AmaxHistory history(2);
  history.record(4);
  history.record(0);
  CHECK(history.factor() == 112);  // 4 is still kept
  history.record(0);
  CHECK(history.factor() == 112);  // only zeros are
  history.record(infinity);
  CHECK(history.factor() == 112);
  history.record(1);
  CHECK(history.factor() == 112);  // infinity is the largest kept
  history.record(1);
  CHECK(history.factor() == 448);
  FloatMatrix x = tensor(2);
  x(0, 0) = quiet_nan;
  const Quantised q = quantise_delayed(x, history);
  CHECK(std::isnan(decode(q.format, q.q(0, 0))));
  CHECK(decode(q.format, q.q(2, 1)) == -448);
  CHECK(history.factor() == 224);  // the NaN does not count
}

TEST_CASE("delayed: nothing is recorded of nothing, and what is refused") {
  AmaxHistory history(4);
  history.record(2);
  const Quantised q = quantise_delayed(FloatMatrix(0, 7), history);
  CHECK(q.q.size() == 0);
  CHECK(history.factor() == 224);
  CHECK_THROWS_AS(AmaxHistory(0), std::invalid_argument);
  CHECK_THROWS_AS(AmaxHistory(4, AmaxHistory::Use::max, 0, FormatId::bf16), std::invalid_argument);
}

TEST_CASE("delayed: a history restored from its amaxes and factor goes on alike, wherever its ring stands") {
  for (int before = 0; before < 8; ++before) {
    AmaxHistory history(3), other(3);
    for (int i = 0; i < before; ++i) history.record(static_cast<float>(7 * i % 5));
    other.restore(history.amaxes(), history.factor());
    CHECK(other == history);
    for (const float amax : {1.0f, 0.0f, 9.0f, 2.0f, 2.0f, 2.0f}) {
      history.record(amax), other.record(amax);
      CHECK(other == history);
      CHECK(other.factor() == history.factor());
    }
  }
  AmaxHistory history(3);
  for (const float amax : {1.0f, 2.0f, 3.0f, 4.0f}) history.record(amax);
  CHECK(history.amaxes() == std::vector<float>{2, 3, 4});
  CHECK_THROWS_AS(history.restore({1, 2}, 1), std::invalid_argument);
  CHECK_THROWS_AS(history.restore({1, 2, -1}, 1), std::invalid_argument);
  CHECK_THROWS_AS(history.restore({1, 2, quiet_nan}, 1), std::invalid_argument);
  for (const float factor : {0.0f, -1.0f, infinity, quiet_nan})
    CHECK_THROWS_AS(history.restore({1, 2, 3}, factor), std::invalid_argument);
}
