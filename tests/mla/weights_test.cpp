// SPDX-License-Identifier: MIT
#include "reference/mla/weights.hpp"

#include <doctest/doctest.h>

using namespace dsv3;

namespace {

MlaConfig published(Index d, Index n_h, Index d_c_prime) {
  return {.d = d, .n_h = n_h, .d_h = 128, .d_v = 128, .d_c = 512, .d_c_prime = d_c_prime, .rope = {.width = 64}};
}

Index values(const MlaConfig& config, Role wanted) {
  Index total = 0;
  const MlaWeights<Shape> shapes = mla_shapes(config);
  MlaWeights<Shape>::visit(
      "", [&](Role role, const std::string&, const Shape& s) { total += role == wanted ? size(s) : 0; }, shapes);
  return total;
}

}  // namespace

TEST_CASE("MLA weights: attention matrices and latent norms of V3, V2 and V2-Lite, to the unit") {
  const MlaConfig v3 = published(7168, 128, 1536), v2 = published(5120, 128, 1536), lite = published(2048, 16, 0);
  CHECK(values(v3, Role::weight) == 187105280);
  CHECK(values(v2, Role::weight) == 149225472);
  CHECK(values(lite, Role::weight) == 13762560);
  CHECK(values(v3, Role::gain) == 2048);
  CHECK(values(v2, Role::gain) == 2048);
  CHECK(values(lite, Role::gain) == 512);
  CHECK(count(mla_shapes(v3)) == 187105280 + 2048);
}

TEST_CASE("MLA weights: query, key/value and output projections of V3 and V2-Lite apart") {
  const auto v3 = mla_shapes(published(7168, 128, 1536)), lite = mla_shapes(published(2048, 16, 0));
  CHECK(size(v3.W_DQ) + size(v3.W_UQ) + size(v3.W_QR) == 48758784);
  CHECK(size(v3.W_DKV) + size(v3.W_KR) + size(v3.W_UK) + size(v3.W_UV) == 20905984);
  CHECK(size(v3.W_O) == 117440512);
  CHECK(size(lite.W_DQ) + size(lite.W_UQ) + size(lite.W_QR) == 6291456);
  CHECK(size(lite.W_DKV) + size(lite.W_KR) + size(lite.W_UK) + size(lite.W_UV) == 3276800);
  CHECK(lite.W_DQ == Shape{});
  CHECK(lite.g_Q == Shape{});
}

TEST_CASE("MLA weights: the names are the report's letters after the prefix; what is not there has none") {
  const auto names = [](const MlaConfig& config) {
    std::string all;
    MlaWeights<Matrix> weights = zeros(mla_shapes(config));
    for (const auto& tensor : tensors_of(weights, "mla.")) all += tensor.name + " ";
    return all;
  };
  MlaConfig config{.d = 6, .n_h = 2, .d_h = 3, .d_v = 5, .d_c = 4, .d_c_prime = 7, .rope = {.width = 2}};
  CHECK(names(config) == "mla.W_DQ mla.g_Q mla.W_UQ mla.W_QR mla.W_DKV mla.g_KV mla.W_KR mla.W_UK mla.W_UV mla.W_O ");
  CHECK(mla_shapes(config).W_UV == Shape{10, 4});
  CHECK(mla_shapes(config).W_O == Shape{6, 10});
  config.d_c_prime = 0;
  CHECK(names(config) == "mla.W_UQ mla.W_QR mla.W_DKV mla.g_KV mla.W_KR mla.W_UK mla.W_UV mla.W_O ");
  CHECK(mla_shapes(config).W_QR == Shape{4, 6});
}
