// SPDX-License-Identifier: MIT
#include "reference/mla/mla.hpp"

#include <omp.h>

#include <map>

#include "reference/formats/bf16.hpp"
#include "reference/linear/linear.hpp"
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
  // u reaches 7: some 40 units in the last place, for sums of a hundred terms behind four products
  CHECK(outside(Mla(config).forward(p, h, context).y, SlowMla(config, p).forward(h, context.sequences), 2e-5) == "");
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
  CHECK(shape_of(stored.o.value()) == Shape{9, 15});
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
    CHECK(different(shown["layers.3.o"], stored.o.value()) == "");
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
  for (const Matrix& value : {stored.k_R, stored.o.value()}) CHECK(different(value, rounded(value)) != "");
  CHECK(outside(u, fp32, 1e-3) != "");
  // u reaches 7: some 10 BF16 units (2^-8 relative), for five products in a chain with rounded operands
  CHECK(outside(u, fp32, 0.3) == "");
}

TEST_CASE("MLA in bf16: every product of F, B and W is the Linear of its operands in bf16") {
  const Precision bf16 = Precision::bf16;
  for (const Index d_c_prime : {14, 0}) {
    const MlaConfig config = example_config(d_c_prime);
    const Mla mla(config);
    const auto p = example_weights(config);
    Context context = context_of({{1, 5}, {6, 0}});  // row 0 alone: its p is 1, so its dv_C is W_O^T du
    context.precision = bf16;
    const RopeTable rope(config.rope, context.sequences);
    const auto roped = [&](Matrix x) {
      rope.rotate(x);
      return x;
    };
    const Matrix h = probe(7, config.d, 1), du = probe(7, config.d, 2);
    auto [u, stored] = mla.forward(p, h, context);
    const auto r = mla.recompute(p, stored, h, context);
    const Matrix& query_in = d_c_prime ? r.q.c_Q_hat : h;
    if (d_c_prime) CHECK(different(stored.c_Q, fprop(p.W_DQ, h, bf16)) == "");
    CHECK(different(stored.c_KV, fprop(p.W_DKV, h, bf16)) == "");
    CHECK(different(stored.k_R, roped(fprop(p.W_KR, h, bf16))) == "");
    CHECK(different(r.q.q_C, fprop(p.W_UQ, query_in, bf16)) == "");
    CHECK(different(r.q.q_R, roped(fprop(p.W_QR, query_in, bf16))) == "");
    CHECK(different(r.k_C, fprop(p.W_UK, r.c_KV_hat, bf16)) == "");
    CHECK(different(r.v_C, fprop(p.W_UV, r.c_KV_hat, bf16)) == "");
    CHECK(different(u, fprop(p.W_O, stored.o.value(), bf16)) == "");

    const Matrix c_Q = stored.c_Q, c_KV = stored.c_KV;
    auto [dh, w] = mla.backward_input(p, std::move(stored), Matrix(h), Matrix(du), context);
    const auto latent_gradient = [&](const Matrix& g, const Matrix& c, const Matrix& dc_hat) {
      return RmsNorm{config.eps}.backward_input({g}, {}, Matrix(c), Matrix(dc_hat), context).dx;
    };
    const Matrix dq_C = w.dq_C.value(), dq_R = w.dq_R.value(), dk_C = w.dk_C.value(), dk_R = w.dk_R.value(),
                 dv_C = w.dv_C.value(), dc_Q = w.dc_Q.value(), dc_KV = w.dc_KV.value(), o = w.o.value();
    const Matrix dquery = dgrad(p.W_UQ, dq_C, bf16) + dgrad(p.W_QR, dq_R, bf16);
    CHECK(different(dv_C.topRows(1), dgrad(p.W_O, du, bf16).topRows(1)) == "");
    CHECK(different(dc_KV, latent_gradient(p.g_KV, c_KV, dgrad(p.W_UK, dk_C, bf16) + dgrad(p.W_UV, dv_C, bf16))) == "");
    if (d_c_prime) CHECK(different(dc_Q, latent_gradient(p.g_Q, c_Q, dquery)) == "");
    const Matrix dh_KV = dgrad(p.W_DKV, dc_KV, bf16) + dgrad(p.W_KR, dk_R, bf16);
    CHECK(different(dh, d_c_prime ? Matrix(dh_KV + dgrad(p.W_DQ, dc_Q, bf16)) : Matrix(dh_KV + dquery)) == "");

    auto grads = zeros(mla_shapes(config)), expected = grads;
    wgrad(expected.W_DKV, dc_KV, h, bf16);
    wgrad(expected.W_KR, dk_R, h, bf16);
    wgrad(expected.W_UQ, dq_C, query_in, bf16);
    wgrad(expected.W_QR, dq_R, query_in, bf16);
    wgrad(expected.W_UK, dk_C, r.c_KV_hat, bf16);
    wgrad(expected.W_UV, dv_C, r.c_KV_hat, bf16);
    wgrad(expected.W_O, du, o, bf16);
    if (d_c_prime) wgrad(expected.W_DQ, dc_Q, h, bf16);
    mla.backward_weight(std::move(w), grads, context);
    auto a = tensors_of(grads), b = tensors_of(expected);
    for (std::size_t i = 0; i < a.size(); ++i) {
      CAPTURE(a[i].name);
      if (a[i].role == Role::weight) CHECK(different(*a[i].value, *b[i].value) == "");
    }
  }
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
