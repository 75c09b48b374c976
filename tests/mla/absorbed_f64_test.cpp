// SPDX-License-Identifier: MIT
#include "reference/mla/absorbed.hpp"

#include "tests/mla/example.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

using Attention = decltype(&absorbed_attention);

/// u of all rows of h, given to `attention` in chunks of these lengths.
Matrix in_chunks(Attention attention, const MlaConfig& config, const MlaWeights<Matrix>& p, const Matrix& h,
                 std::initializer_list<Index> lengths) {
  Matrix u(h.rows(), h.cols());
  LatentCache cache;
  for (const Index n : lengths) {
    const Index at = cache.length;
    u.middleRows(at, n) = attention(Mla(config), p, h.middleRows(at, n), cache, {});
  }
  return u;
}

constexpr double bound = 1e-12;  // u is near 1 to 10 and made of a few hundred terms

}  // namespace

TEST_CASE("decoding: absorbed = expanded = training form, whatever the chunks; with YaRN and without query latent") {
  MlaConfig plain = example_config();
  plain.rope.yarn.reset();
  for (const MlaConfig& config : {example_config(), example_config(0), plain}) {
    const auto p = example_weights(config);
    const Matrix h = probe(80, config.d, 1);
    const Matrix u = Mla(config).forward(p, h, context_of({{80, 0}})).y;
    for (const Attention attention : {absorbed_attention, cached_attention}) {
      CHECK(outside(in_chunks(attention, config, p, h, {80}), u, bound) == "");
      CHECK(outside(in_chunks(attention, config, p, h, {13, 1, 66}), u, bound) == "");
    }
  }
}

TEST_CASE("decoding: a prefill of T tokens is T single steps") {
  const MlaConfig config = example_config();
  const auto p = example_weights(config);
  const Matrix h = probe(10, config.d, 1);
  for (const Attention attention : {absorbed_attention, cached_attention})
    CHECK(outside(in_chunks(attention, config, p, h, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}),
                  in_chunks(attention, config, p, h, {10}), bound) == "");
}

TEST_CASE("decoding: one form continues the cache of the other, and rejected tokens are forgotten by their length") {
  const MlaConfig config = example_config();
  const auto p = example_weights(config);
  const Matrix h = probe(12, config.d, 1), u = in_chunks(absorbed_attention, config, p, h, {12});
  LatentCache cache;
  cached_attention(Mla(config), p, h.topRows(7), cache, {});
  absorbed_attention(Mla(config), p, probe(3, config.d, 2), cache, {});  // a draft that is thrown away
  cache.length = 7;
  CHECK(outside(absorbed_attention(Mla(config), p, h.bottomRows(5), cache, {}), u.bottomRows(5), bound) == "");
}

TEST_CASE("decoding: positions come from the cache, not from the context") {
  const MlaConfig config = example_config();
  const auto p = example_weights(config);
  const Matrix h = probe(4, config.d, 1);
  LatentCache one, other;
  CHECK(different(absorbed_attention(Mla(config), p, h, one, {}),
                  absorbed_attention(Mla(config), p, h, other, context_of({{2, 50}}))) == "");
}
