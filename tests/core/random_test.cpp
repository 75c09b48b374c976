// SPDX-License-Identifier: MIT
#include "reference/core/random.hpp"

#include <array>
#include <cmath>
#include <set>
#include <vector>

#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// Pearson's statistic of the counts against equal shares.
double chi_square(const std::vector<Index>& counts, Index draws) {
  const double expected = static_cast<double>(draws) / static_cast<double>(counts.size());
  double sum = 0;
  for (const Index n : counts) sum += (static_cast<double>(n) - expected) * (static_cast<double>(n) - expected);
  return sum / expected;
}

/// With b bins the statistic has mean k = b - 1 and standard deviation sqrt(2k). Six of them either way: a fair
/// generator leaves that range for about one seed in 10^6 (chi-square, k = 63), and here the seed is fixed. Too even
/// is as wrong as too uneven.
bool looks_uniform(const std::vector<Index>& counts, Index draws) {
  const double k = static_cast<double>(counts.size()) - 1;
  return std::abs(chi_square(counts, draws) - k) < std::min(6 * std::sqrt(2 * k), k - 1e-9);
}

}  // namespace

TEST_CASE("random: the published outputs of SplitMix64 for the seeds 0 and 1234567") {
  Random zero(0), other(1234567);
  for (const std::uint64_t expected :
       {0xE220A8397B1DCDAFu, 0x6E789E6AA1B965F4u, 0x06C45D188009454Fu, 0xF88BB8A8724C81ECu, 0x1B39896A51A8749Bu})
    CHECK(zero.bits() == expected);
  for (const std::uint64_t expected :
       {6457827717110365317u, 3203168211198807973u, 9817491932198370423u, 4593380528125082431u, 16408922859458223821u})
    CHECK(other.bits() == expected);
}

TEST_CASE("random: a generator made from the state goes on where the first one stands") {
  Random a(5);
  for (int i = 0; i < 7; ++i) a.bits();
  Random b(a.state());
  for (int i = 0; i < 5; ++i) CHECK(a.bits() == b.bits());
}

TEST_CASE("random: uniform() is a multiple of 2^-53 in [0, 1), spread evenly over 64 bins") {
  Random random(1);
  std::vector<Index> counts(64);
  for (int i = 0; i < 64'000; ++i) {
    const double u = random.uniform();
    REQUIRE((u >= 0 && u < 1));
    REQUIRE(u * 0x1p53 == std::floor(u * 0x1p53));
    ++counts[static_cast<std::size_t>(u * 64)];
  }
  CHECK(looks_uniform(counts, 64'000));
}

TEST_CASE("random: the high bits of consecutive draws are independent: 8 x 8 pairs are even") {
  Random random(2);
  std::vector<Index> counts(64);
  for (int i = 0; i < 64'000; ++i) {
    const auto first = random.bits() >> 61, second = random.bits() >> 61;
    ++counts[first * 8 + second];
  }
  CHECK(looks_uniform(counts, 64'000));
}

TEST_CASE("random: below(n) gives 0 .. n-1 evenly, also where n does not divide 2^64") {
  Random random(3);
  std::vector<Index> counts(10);
  for (int i = 0; i < 10'000; ++i) ++counts.at(static_cast<std::size_t>(random.below(10)));
  CHECK(looks_uniform(counts, 10'000));

  // n = 3 * 2^61 goes 2 2/3 times into 2^64: a bare remainder would put 3/4 of the draws into the lower 2/3.
  const Index n = Index{3} << 61;
  int lower = 0;
  for (int i = 0; i < 10'000; ++i) lower += random.below(n) < n / 3 * 2;
  CHECK(std::abs(lower / 1e4 - 2.0 / 3) < 5 * std::sqrt(2.0 / 9 / 1e4));  // five standard deviations of a share
  CHECK(random.below(1) == 0);
  CHECK_THROWS_WITH(random.below(0), "Random::below: n is 0; it must be at least 1");
}

TEST_CASE("random: normal() has the moments and the central mass of a standard normal") {
  Random random(4);
  constexpr int n = 100'000;
  double sum = 0, squares = 0, fourth = 0;
  int central = 0;
  for (int i = 0; i < n; ++i) {
    const double x = random.normal();
    sum += x, squares += x * x, fourth += x * x * x * x;
    central += std::abs(x) < 1;
  }
  // Five standard deviations of each mean: variances of x, x^2, x^4 are 1, 3 - 1, 105 - 9; of the share p(1-p).
  CHECK(std::abs(sum / n) < 5 / std::sqrt(n));
  CHECK(std::abs(squares / n - 1) < 5 * std::sqrt(2.0 / n));
  CHECK(std::abs(fourth / n - 3) < 5 * std::sqrt(96.0 / n));
  CHECK(std::abs(central / double{n} - std::erf(std::sqrt(0.5))) < 5 * std::sqrt(0.6827 * 0.3173 / n));
}

TEST_CASE("stream: one sequence per pair of seed and index, the same every time") {
  CHECK(stream(7, 3).state() == stream(7, 3).state());
  CHECK(stream(7, 3).state() != stream(3, 7).state());
  std::set<std::uint64_t> states;
  for (std::uint64_t seed = 0; seed < 64; ++seed)
    for (std::uint64_t index = 0; index < 1024; ++index) states.insert(stream(seed, index).state());
  CHECK(states.size() == 64 * 1024);
}

TEST_CASE("stream: neighbouring streams are independent, in their first draws and along their length") {
  std::vector<Index> first(64), pairs(64);
  for (std::uint64_t index = 0; index < 64'000; ++index) ++first[stream(1, index).bits() >> 58];
  CHECK(looks_uniform(first, 64'000));
  Random a = stream(1, 0), b = stream(1, 1);
  for (int i = 0; i < 64'000; ++i) ++pairs[(a.bits() >> 61) * 8 + (b.bits() >> 61)];
  CHECK(looks_uniform(pairs, 64'000));
}

TEST_CASE("normal_matrix: row by row from the stream, with the standard deviation of section 4.2") {
  Random drawn(9), again(9);
  const Matrix m = normal_matrix(2, 3, 0.006, drawn);
  for (Index i = 0; i < 2; ++i)
    for (Index j = 0; j < 3; ++j) CHECK(m(i, j) == static_cast<real>(0.006 * again.normal()));
  CHECK(drawn.state() == again.state());
}
