// SPDX-License-Identifier: MIT
#include "reference/moe/moe.hpp"
#include "tests/moe/fixture.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

GateConfig published_gate(Index N_r, Index K_r) {
  GateConfig c;
  c.N_r = N_r, c.K_r = K_r, c.num_groups = 8, c.kept_groups = 4;
  return c;
}

}  // namespace

TEST_CASE("moe: parameters per layer of V3, V2 and V2-Lite, to the unit") {
  struct Published {
    MoeConfig config;
    Index d_dense, gate, expert, shared, dense;
  };
  GateConfig v3 = published_gate(256, 8), v2 = published_gate(160, 6), lite = published_gate(64, 6);
  v2.has_bias = lite.has_bias = false;
  const Published all[] = {
      {{7168, 2048, 2048, v3}, 18432, 1'835'008, 44'040'192, 44'040'192, 396'361'728},
      {{5120, 2 * 1536, 1536, v2}, 12288, 819'200, 23'592'960, 47'185'920, 188'743'680},
      {{2048, 2 * 1408, 1408, lite}, 10944, 131'072, 8'650'752, 17'301'504, 67'239'936},
  };
  for (const Published& p : all) {
    const MoeWeights<Shape> shapes = moe_shapes(p.config);
    CHECK(size(shapes.e) == p.gate);
    CHECK(size(shapes.b) == (p.config.gate.has_bias ? p.config.gate.N_r : 0));
    CHECK(count(shapes.shared) == p.shared);
    CHECK(count(shapes.experts[0]) == p.expert);
    CHECK(count(shapes) == p.gate + size(shapes.b) + p.shared + p.config.gate.N_r * p.expert);
    CHECK(count(moe_shapes({p.config.d, p.d_dense, 0, {}})) == p.dense);
  }
}

TEST_CASE("moe: tensors have names and roles; weights of another number of experts are refused") {
  MoeConfig config = small_moe(v3_gate());
  auto w = random_weights(config, 1);
  const auto tensors = tensors_of(w, "layers.0.");
  CHECK(tensors[0].name == "layers.0.e");
  CHECK(tensors[1].name == "layers.0.b");
  CHECK(tensors[1].role == Role::bias);
  CHECK(tensors[2].name == "layers.0.shared.W_gate");
  CHECK(tensors.back().name == "layers.0.experts.15.W_down");
  w.experts.pop_back();
  CHECK_THROWS_WITH(Moe(config).forward(w, probe(2, 12, 1), {}),
                    "Moe: the weights have 15 experts; the configuration has 16");
  w = random_weights(config, 1);
  const auto source = [&](Index i) -> const SwigluWeights<Matrix>& { return w.experts[i]; };
  for (Matrix* m : {&w.shared.W_down, &w.experts[3].W_down}) {
    const Matrix kept = *m;
    m->conservativeResize(11, Eigen::NoChange);
    CHECK_THROWS_WITH(Moe(config).forward(w, probe(50, 12, 1), {}), doctest::Contains("W_down [11, "));
    CHECK_THROWS_WITH(Moe(config).infer(w, probe(50, 12, 1), source, {}), doctest::Contains("W_down [11, "));
    *m = kept;
  }
  CHECK_THROWS_AS(Moe(config).forward(w, probe(2, 11, 1), {}), std::invalid_argument);
  auto stored = Moe(config).forward(w, probe(2, 12, 1), {}).stored;
  CHECK_THROWS_WITH(Moe(config).backward_input(w, std::move(stored), probe(2, 12, 1), probe(3, 12, 1), {}),
                    "Moe: dh is [3, 12] but u is [2, 12]; they need the same shape");
  stored = Moe(config).forward(w, probe(2, 12, 1), {}).stored;
  CHECK_THROWS_WITH(Moe(config).backward_input(w, std::move(stored), probe(1, 12, 1), probe(1, 12, 1), {}),
                    "Moe: u is [1, 12] but the forward pass had 2 tokens");
  auto other = zeros(moe_shapes(config));
  w.experts.pop_back();
  CHECK_THROWS_AS(MoeWeights<Matrix>::visit(
                      "", [](Role, const std::string&, const Matrix&, const Matrix&) {}, other, w),
                  std::invalid_argument);
}

TEST_CASE("moe: impossible sizes are refused by name") {
  const auto refused = [](auto change, const char* message) {
    MoeConfig bad = small_moe(v3_gate());
    change(bad);
    CHECK_THROWS_WITH(Moe{bad}, message);
  };
  refused([](MoeConfig& c) { c.d = 0; }, "MoeConfig: d is 0; it must be at least 1");
  refused([](MoeConfig& c) { c.d_expert = 0; }, "MoeConfig: d_expert is 0; it must be at least 1");
  refused([](MoeConfig& c) { c.d_shared = -1; }, "MoeConfig: d_shared is -1; it must be at least 0");
  refused([](MoeConfig& c) { c.gate.N_r = 0, c.d_shared = 0; }, "MoeConfig: d_shared is 0; it must be at least 1");
  refused([](MoeConfig& c) { c.gate.N_r = -1; }, "MoeConfig: N_r is -1; it must be 0 (dense) or more");
  refused([](MoeConfig& c) { c.gate.num_groups = 5; }, "GateConfig: num_groups is 5; it must divide N_r 16");
}
