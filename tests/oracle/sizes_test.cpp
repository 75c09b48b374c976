// SPDX-License-Identifier: MIT
#include "reference/oracle/sizes.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

using namespace dsv3;
using namespace dsv3::oracle;

TEST_CASE("sizes: expressions of letters, numbers, sums, products and rounded-up quotients") {
  const Sizes sizes{{"T", 7}, {"K", 300}, {"N_r", 16}};
  CHECK(size_of("T", sizes) == 7);
  CHECK(size_of("128", sizes) == 128);
  CHECK(size_of("ceil(K/128)", sizes) == 3);
  CHECK(size_of("ceil(K/(T+3))*2", sizes) == 60);
  CHECK(size_of("2*T+N_r", sizes) == 30);
  CHECK(size_of("N_r-T-1", sizes) == 8);
  CHECK(size_of("T-N_r", sizes) == 0);
  CHECK(size_of("N_r+2*(T+1)", sizes) == 32);
  CHECK(size_of("ceil(T/0)", {{"T", 0}}) == 0);
  for (const char* const wrong : {"", "M", "T+", "ceil(T", "ceil(T/)", "T T", "(T", "T-", "-T"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(size_of(wrong, sizes), std::logic_error);
  }
}

TEST_CASE("sizes: letters are bound where they stand alone, and then must fit everywhere") {
  Sizes sizes;
  CHECK(bind({"T", "K"}, {7, 300}, sizes) == "");
  CHECK(bind({"T", "ceil(K/128)"}, {7, 3}, sizes) == "");
  CHECK(bind({"T", "ceil(K/128)"}, {7, 2}, sizes) == "is [7, 2]; [T, ceil(K/128)] needs ceil(K/128) = 3 in place 2");
  CHECK(bind({"N", "K"}, {5, 299}, sizes) == "is [5, 299]; [N, K] needs K = 300 in place 2");
  CHECK(bind({"T"}, {7, 1}, sizes) == "is [7, 1]; it must be [T], 1 dimension");
}
