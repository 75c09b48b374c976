// SPDX-License-Identifier: MIT
#include "reference/mla/absorbed.hpp"

#include <omp.h>

#include "reference/linear/linear.hpp"
#include "reference/mla/attention.hpp"
#include "tests/mla/example.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("latent cache: 576 values a token and layer in V3 and V2, for all heads together") {
  for (const Index n_h : {128, 16}) {
    const MlaConfig v3{.d = 7168, .n_h = n_h, .d_h = 128, .d_v = 128, .d_c = 512, .rope = {.width = 64}};
    CHECK(cached_values_per_token(v3) == 576);
  }
  CHECK(576 * 2 * 61 == 70272);  // bytes a token in BF16 over the 61 layers of V3
}

TEST_CASE("latent cache: holds what the configuration says, normalised and rotated, and no more") {
  const MlaConfig config = example_config();
  const auto p = example_weights(config);
  const Mla mla(config);
  LatentCache cache;
  const Context context = context_of({{6, 0}});
  const Matrix h = probe(6, config.d, 1);
  absorbed_attention(mla, p, h, cache, {});
  const auto [u, stored] = mla.forward(p, h, context);
  CHECK(cache.length == 6);
  CHECK(cache.tokens().cols() == cached_values_per_token(config));
  CHECK(different(cache.k_R(config.d_c), stored.k_R) == "");
  CHECK(different(cache.c_KV_hat(config.d_c), mla.recompute(p, stored, h, context).c_KV_hat) == "");
}

TEST_CASE("latent cache: appended row by row, capacity doubles and nothing is lost") {
  LatentCache cache;
  const Matrix c = probe(100, 3, 1), k = probe(100, 2, 2);
  Index copies = 0;
  for (Index t = 0; t < 100; ++t) {
    const Index capacity = cache.rows.rows();
    cache.append(c.row(t), k.row(t));
    copies += cache.rows.rows() != capacity;
  }
  CHECK(copies == 8);  // capacities 1, 2, 4, ..., 128
  CHECK(different(cache.c_KV_hat(3), c) == "");
  CHECK(different(cache.k_R(3), k) == "");
  cache.length = 40;
  cache.append(c.row(99), k.row(99));
  CHECK(different(cache.tokens().row(40).head(3), c.row(99)) == "");
  CHECK_THROWS_AS(cache.append(Matrix::Ones(1, 4), Matrix::Ones(1, 2)), std::invalid_argument);
  CHECK_THROWS_AS(cache.append(Matrix::Ones(2, 3), Matrix::Ones(1, 2)), std::invalid_argument);
  cache.length = 1000;
  CHECK_THROWS_WITH(cache.append(Matrix::Ones(1, 3), Matrix::Ones(1, 2)),
                    "LatentCache: the length is 1000; it must be 0 .. 128");
}

TEST_CASE("decoding past max_length is refused and leaves the cache as it was") {
  const MlaConfig config = example_config();
  const auto p = example_weights(config);
  for (const auto attention : {absorbed_attention, cached_attention}) {
    LatentCache cache;
    attention(Mla(config), p, probe(127, config.d, 1), cache, {});
    const Matrix before = cache.tokens();
    CHECK_THROWS_WITH(attention(Mla(config), p, probe(2, config.d, 2), cache, {}),
                      "RopeTable: sequence 0 has 2 tokens from position 127; positions must be 0 .. 127");
    CHECK_THROWS_AS(attention(Mla(config), p, probe(1, 23, 2), cache, {}), std::invalid_argument);
    CHECK(different(cache.tokens(), before) == "");
    CHECK_NOTHROW(attention(Mla(config), p, probe(1, config.d, 2), cache, {}));
  }
}

TEST_CASE("decoding in float: the absorbed form stays near the expanded one, and its bits do not depend on threads") {
  const MlaConfig config = example_config();
  const auto p = example_weights(config);
  std::vector<Matrix> u;
  for (int threads : {1, 2, 5}) {
    omp_set_num_threads(threads);
    LatentCache cache;
    absorbed_attention(Mla(config), p, probe(70, config.d, 1), cache, {});
    u.push_back(absorbed_attention(Mla(config), p, probe(1, config.d, 2), cache, {}));
  }
  omp_set_num_threads(2);
  CHECK(different(u[0], u[1]) == "");
  CHECK(different(u[0], u[2]) == "");
  LatentCache cache;
  cached_attention(Mla(config), p, probe(70, config.d, 1), cache, {});
  const Matrix expanded = cached_attention(Mla(config), p, probe(1, config.d, 2), cache, {});
  CHECK(outside(u[0], expanded, 2e-5) == "");  // as in mla_test
}

TEST_CASE("decoding in bf16: the expanded form rounds as training does, bit for bit") {
  const MlaConfig config = example_config();
  const auto p = example_weights(config);
  const Matrix h = probe(9, config.d, 1);
  Context bf16 = context_of({{9, 0}});
  bf16.precision = Precision::bf16;
  LatentCache cache, cache_fp32;
  const Matrix u = cached_attention(Mla(config), p, h, cache, bf16);
  CHECK(different(u, Mla(config).forward(p, h, bf16).y) == "");
  CHECK(outside(u, cached_attention(Mla(config), p, h, cache_fp32, {}), 1e-3) != "");
}

TEST_CASE("decoding in bf16: the absorbed form rounds W_UK, q~, W_UV and o_i, head by head") {
  const MlaConfig config = example_config();
  const Mla mla(config);
  const auto p = example_weights(config);
  const Matrix h = probe(9, config.d, 1);
  Context bf16 = context_of({{9, 0}});
  bf16.precision = Precision::bf16;
  LatentCache cache;
  const Matrix u = absorbed_attention(mla, p, h, cache, bf16);

  const auto q = mla.recompute(p, mla.forward(p, h, bf16).stored, h, bf16).q;
  Matrix o(9, 15), lse(9, 1), z(9, 10), query(9, 10 + 8);
  for (Index i : {0, 1, 2}) {
    query.leftCols(10) = dgrad(p.W_UK.middleRows(6 * i, 6), q.q_C.middleCols(6 * i, 6), Precision::bf16);
    query.rightCols(8) = q.q_R.middleCols(8 * i, 8);
    attend(z, lse, query, cache.tokens(), cache.c_KV_hat(10), mla.scale());
    o.middleCols(5 * i, 5) = fprop(p.W_UV.middleRows(5 * i, 5), z, Precision::bf16);
  }
  CHECK(different(u, fprop(p.W_O, o, Precision::bf16)) == "");
}
