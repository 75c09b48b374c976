// SPDX-License-Identifier: MIT
#include "reference/mla/mla.hpp"

#include <omp.h>

#include <map>

#include "reference/formats/bf16.hpp"
#include "tests/mla/example.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

struct Run {
  Matrix u, dh;
  MlaWeights<Matrix> grads;
};

Run run(const MlaConfig& config, const MlaWeights<Matrix>& p, const Matrix& h, const Context& context) {
  const Mla mla(config);
  Run r{.u = {}, .dh = {}, .grads = zeros(mla_shapes(config))};
  auto [u, stored] = mla.forward(p, h, context);
  auto [dh, deferred] = mla.backward_input(p, std::move(stored), Matrix(h), probe(h.rows(), h.cols(), 99), context);
  mla.backward_weight(std::move(deferred), r.grads, context);
  r.u = u;
  r.dh = dh;
  return r;
}

Matrix rounded(Matrix m) { return round_to_bf16(std::move(m)); }

}  // namespace

TEST_CASE("MLA in float agrees with plain loops in double") {
  const MlaConfig config = example_config();
  const auto p = example_weights(config);
  const Context context = context_of({{7, 0}, {70, 11}});
  const Matrix h = probe(77, config.d, 1);
  // u is near 1 to 10; scores up to 50 amplify the rounding of q and k by as much before the exponential
  CHECK(outside(Mla(config).forward(p, h, context).y, SlowMla(config, p).forward(h, context.sequences), 2e-4) == "");
}

TEST_CASE("MLA: the same bits for 1, 2 and 5 threads, forward and backward") {
  const MlaConfig config = example_config();
  const auto p = example_weights(config);
  const Context context = context_of({{7, 0}, {1, 3}, {120, 5}});
  const Matrix h = probe(128, config.d, 1);
  std::vector<Run> runs;
  for (int threads : {1, 2, 5}) {
    omp_set_num_threads(threads);
    runs.push_back(run(config, p, h, context));
  }
  omp_set_num_threads(2);
  for (int other : {1, 2}) {
    CHECK(different(runs[0].u, runs[other].u) == "");
    CHECK(different(runs[0].dh, runs[other].dh) == "");
    auto a = tensors_of(runs[0].grads), b = tensors_of(runs[other].grads);
    for (std::size_t i = 0; i < a.size(); ++i) CHECK(different(*a[i].value, *b[i].value) == "");
  }
}

TEST_CASE("MLA: a changed token changes no earlier token and no other sequence, by a bit") {
  const MlaConfig config = example_config();
  const auto p = example_weights(config);
  const Context context = context_of({{9, 0}, {80, 0}, {4, 2}});
  const Matrix h = probe(93, config.d, 1), u = Mla(config).forward(p, h, context).y;
  for (const Index changed : {9, 20, 73, 88}) {  // of the second sequence, rows 9 .. 88
    Matrix other = h;
    other.row(changed) = -other.row(changed);
    const Matrix u_other = Mla(config).forward(p, other, context).y;
    CHECK(different(u.topRows(changed), u_other.topRows(changed)) == "");
    CHECK(different(u.bottomRows(4), u_other.bottomRows(4)) == "");
    for (Index t = changed; t < 89; ++t) CHECK(different(u.row(t), u_other.row(t)) != "");
  }
}

TEST_CASE("MLA: F keeps c_Q, c_KV, k_R, o and a number per row and head; the rest is recomputed") {
  const MlaConfig config = example_config();
  const auto p = example_weights(config);
  const Context context = context_of({{9, 0}});
  const auto stored = Mla(config).forward(p, probe(9, config.d, 1), context).stored;
  CHECK(shape_of(stored.c_Q) == Shape{9, 14});
  CHECK(shape_of(stored.c_KV) == Shape{9, 10});
  CHECK(shape_of(stored.k_R) == Shape{9, 8});
  CHECK(shape_of(stored.o) == Shape{9, 15});
  CHECK(shape_of(stored.lse) == Shape{9, 3});
}

TEST_CASE("MLA: intermediate values are shown under the report's letters with the caller's prefix") {
  for (const Index d_c_prime : {14, 0}) {
    const MlaConfig config = example_config(d_c_prime);
    const auto p = example_weights(config);
    std::map<std::string, Matrix> shown;
    Context context = context_of({{9, 3}});
    context.tap = [&](const std::string& name, const Matrix& value) { shown[name] = value; };
    context.tap_prefix = "layers.3.";
    const auto [u, stored] = Mla(config).forward(p, probe(9, config.d, 1), context);
    CHECK(shown.size() == (d_c_prime ? 7 : 6));
    CHECK(different(shown["layers.3.u"], u) == "");
    CHECK(different(shown["layers.3.c_KV"], stored.c_KV) == "");
    CHECK(different(shown["layers.3.k_R"], stored.k_R) == "");
    CHECK(different(shown["layers.3.o"], stored.o) == "");
    if (d_c_prime) CHECK(different(shown["layers.3.c_Q"], stored.c_Q) == "");
    CHECK(shape_of(shown["layers.3.q_C"]) == Shape{9, 18});
    CHECK(shape_of(shown["layers.3.q_R"]) == Shape{9, 24});
  }
}

TEST_CASE("MLA in bf16: the products round, the attention between them does not") {
  const MlaConfig config = example_config();
  const auto p = example_weights(config);
  Context context = context_of({{9, 0}});
  const Matrix h = probe(9, config.d, 1), fp32 = Mla(config).forward(p, h, context).y;
  context.precision = Precision::bf16;
  const auto [u, stored] = Mla(config).forward(p, h, context);
  for (const Matrix& product : {u, stored.c_Q, stored.c_KV}) CHECK(different(product, rounded(product)) == "");
  for (const Matrix& value : {stored.k_R, stored.o}) CHECK(different(value, rounded(value)) != "");
  CHECK(outside(u, fp32, 1e-3) != "");
  // u near 10; a chain of five products, each with a relative error of 2^-9, and scores up to 50 in between
  CHECK(outside(u, fp32, 2) == "");
}

TEST_CASE("MLA: no rows, no sequences: an empty result") {
  const MlaConfig config = example_config();
  const Run r = run(config, example_weights(config), Matrix(0, config.d), Context{});
  CHECK(shape_of(r.u) == Shape{0, config.d});
  CHECK(shape_of(r.dh) == Shape{0, config.d});
  CHECK(max_abs(r.grads.W_O) == 0);
}

TEST_CASE("MLA: what does not fit is named") {
  const MlaConfig config = example_config();
  const auto p = example_weights(config);
  const Mla mla(config);
  const Context context = context_of({{9, 0}});
  CHECK_THROWS_WITH(mla.forward(p, Matrix::Ones(9, 23), context), "Mla: h is [9, 23]; it needs 24 columns");
  CHECK_THROWS_WITH(mla.forward(p, Matrix::Ones(8, 24), context), "Mla: h is [8, 24] but the sequences have 9 rows");
  CHECK_THROWS_AS(mla.forward(p, Matrix::Ones(9, 24), context_of({{9, 120}})), std::invalid_argument);
  auto wrong = p;
  wrong.W_UV = Matrix::Ones(18, 10);  // n_h d_h, but values have d_v
  CHECK_THROWS_WITH(mla.forward(wrong, Matrix::Ones(9, 24), context), "Mla: W_UV is [18, 10]; it needs to be [15, 10]");
  CHECK_THROWS_AS(Mla(example_config(0)).forward(p, Matrix::Ones(9, 24), context), std::invalid_argument);
  auto stored = mla.forward(p, Matrix::Ones(9, 24), context).stored;
  CHECK_THROWS_AS(mla.backward_input(p, std::move(stored), Matrix::Ones(9, 24), Matrix::Ones(8, 24), context),
                  std::invalid_argument);
}

TEST_CASE("MlaConfig: the first field that cannot be right is named") {
  const auto refused = [](auto change, const char* message) {
    MlaConfig config = example_config();
    change(config);
    CHECK_THROWS_WITH_AS(Mla{config}, message, std::invalid_argument);
  };
  refused([](MlaConfig& c) { c.d = 0; }, "MlaConfig: d is 0; it must be at least 1");
  refused([](MlaConfig& c) { c.n_h = 0; }, "MlaConfig: n_h is 0; it must be at least 1");
  refused([](MlaConfig& c) { c.d_h = -1; }, "MlaConfig: d_h is -1; it must be at least 1");
  refused([](MlaConfig& c) { c.d_v = 0; }, "MlaConfig: d_v is 0; it must be at least 1");
  refused([](MlaConfig& c) { c.d_c = 0; }, "MlaConfig: d_c is 0; it must be at least 1");
  refused([](MlaConfig& c) { c.d_c_prime = -1; }, "MlaConfig: d_c_prime is -1; it must be at least 0");
  refused([](MlaConfig& c) { c.eps = 0; }, "MlaConfig: eps is 0; it must be positive");
  refused([](MlaConfig& c) { c.rope.width = 3; }, "RopeConfig: width is 3; it must be even, at least 2");
}
