// SPDX-License-Identifier: MIT
#include "reference/optim/adamw.hpp"

#include <omp.h>

#include <cmath>
#include <limits>

#include "reference/formats/bf16.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// A matrix, a gain and a bias, each with its gradient; the bias's is there to be ignored.
struct Tensors {
  Matrix weight = probe(40, 300, 1), gain = probe(1, 300, 2), bias = probe(1, 16, 3);
  Matrix d_weight = probe(40, 300, 4), d_gain = probe(1, 300, 5), d_bias = probe(1, 16, 6);

  std::vector<NamedTensor> weights() {
    return {{"W", Role::weight, &weight}, {"b", Role::bias, &bias}, {"norm", Role::gain, &gain}};
  }
  std::vector<NamedTensor> gradients() {
    return {{"W", Role::weight, &d_weight}, {"b", Role::bias, &d_bias}, {"norm", Role::gain, &d_gain}};
  }
};

/// One value as a whole model.
struct One {
  Matrix w, g;
  AdamWConfig config;
  AdamWState state;
  One(double weight, AdamWConfig c) : w(matrix({{weight}})), g(matrix({{0}})), config(c) {
    state = adamw_state(list(w), c.moments);
  }
  static std::vector<NamedTensor> list(Matrix& m) { return {{"w", Role::weight, &m}}; }
  real step(double gradient, const AdamWStep& how) {
    g(0, 0) = static_cast<real>(gradient);
    adamw_step(state, list(w), list(g), config, how);
    return w(0, 0);
  }
  real m() const { return values_of(state.tensors[0].m, {1, 1})(0, 0); }
  real v() const { return values_of(state.tensors[0].v, {1, 1})(0, 0); }
};

}  // namespace

TEST_CASE("adamw: two steps by hand; eps stands outside the root, the decay outside the moments") {
  One one(4, {.beta1 = 0.5, .beta2 = 0.75, .decay = 0.5, .eps = 2});
  // m = 1, v = 1; m/(1-1/2) = 2, v/(1-3/4) = 4; 2/(2+2) + 4/2 = 5/2; w = 4 - 5/4
  CHECK(one.step(2, {.learning_rate = 0.5}) == real(2.75));
  CHECK(one.m() == 1);
  CHECK(one.v() == 1);
  // m = -1/2, v = 7/4; m/(3/4) = -2/3, v/(7/16) = 4; -1/6 + 11/8 = 29/24; w = 11/4 - 29/48
  CHECK(std::abs(one.step(-2, {.learning_rate = 0.5}) - 103.0 / 48) < 5e-7);  // two roundings of values near 2
  CHECK(one.m() == real(-0.5));
  CHECK(one.v() == real(1.75));
  CHECK(one.state.step == 2);
}

TEST_CASE(
    "adamw: with the report's constants the first step has the size of the learning rate, whatever the gradient") {
  for (const double gradient : {1e-3, -2.0, 1e4}) {
    One one(0, {});
    const double moved = one.step(gradient, {.learning_rate = 2.2e-4});
    CHECK(std::abs(moved + std::copysign(2.2e-4, gradient)) < 2.2e-4 * 2e-5);  // eps / |g| = 1e-5 for the smallest
  }
  const AdamWConfig report;
  CHECK(report.beta1 == 0.9);
  CHECK(report.beta2 == 0.95);
  CHECK(report.decay == 0.1);
}

TEST_CASE("adamw: matrices decay, gains do not, a bias is neither decayed nor trained nor remembered") {
  Tensors t;
  const Tensors before;
  t.d_weight.setZero();
  t.d_gain.setZero();
  AdamWState state = adamw_state(t.weights(), MomentFormat::fp32);
  adamw_step(state, t.weights(), t.gradients(), {.decay = 0.5}, {.learning_rate = 0.5, .clear_gradients = true});
  CHECK(different(t.weight, before.weight * real(0.75)) == "");  // exact: a quarter taken off
  CHECK(different(t.gain, before.gain) == "");
  CHECK(different(t.bias, before.bias) == "");
  CHECK(different(t.d_bias, before.d_bias) == "");
  REQUIRE(state.tensors.size() == 2);
  CHECK(state.tensors[0].name == "W");
  CHECK(state.tensors[1].name == "norm");
}

TEST_CASE("adamw: gains are trained") {
  Tensors t;
  const Tensors before;
  AdamWState state = adamw_state(t.weights(), MomentFormat::fp32);
  adamw_step(state, t.weights(), t.gradients(), {}, {.learning_rate = 0.25});
  const Matrix signs = before.d_gain.array().sign();
  CHECK(outside(t.gain, before.gain - real(0.25) * signs, 1e-4) == "");  // eps/|g| of the smallest gradient, 4 times
}

TEST_CASE("adamw: gradient_scale multiplies the gradients, which are kept or cleared as asked") {
  Tensors plain, times4;
  times4.d_weight *= 4;
  times4.d_gain *= 4;
  AdamWState a = adamw_state(plain.weights(), MomentFormat::fp32), b = a;
  adamw_step(a, plain.weights(), plain.gradients(), {}, {.learning_rate = 0.1});
  adamw_step(b, times4.weights(), times4.gradients(), {},
             {.learning_rate = 0.1, .gradient_scale = 0.25, .clear_gradients = true});
  CHECK(different(plain.weight, times4.weight) == "");
  CHECK(different(plain.gain, times4.gain) == "");
  CHECK(different(plain.d_weight, Tensors().d_weight) == "");
  CHECK(different(times4.d_weight, Matrix::Zero(40, 300)) == "");
  CHECK(different(times4.d_gain, Matrix::Zero(1, 300)) == "");
}

TEST_CASE("adamw: BF16 moments are rounded to nearest even after the update; the weight moves by the unrounded ones") {
  const AdamWConfig fp32{.beta1 = 0.5, .beta2 = 0.75, .decay = 0, .eps = 1};
  AdamWConfig bf16 = fp32;
  bf16.moments = MomentFormat::bf16;
  // m = g/2 is 1 + 2^-8 and 1 + 3 * 2^-8, halfway between BF16 neighbours: down to 1, up to 1 + 2^-6.
  for (const auto& [gradient, m] : {std::pair{2 + 0x1p-7, 1.0}, {2 + 3 * 0x1p-7, 1 + 0x1p-6}}) {
    One a(0, fp32), b(0, bf16);
    CHECK(a.step(gradient, {.learning_rate = 1}) == b.step(gradient, {.learning_rate = 1}));
    CHECK(a.m() == real(gradient / 2));
    CHECK(b.m() == real(m));
    CHECK(b.v() == float_from_bf16(bf16_from_float(float(gradient * gradient / 4))));
    CHECK(b.v() != a.v());
    b.step(0, {.learning_rate = 1});
    CHECK(b.m() == real(m / 2));  // the next step starts from the rounded one
  }
}

TEST_CASE("adamw: moments take 8 bytes a parameter in FP32 and 4 in BF16, section 3.3.3") {
  Tensors t;
  const std::size_t parameters = 41 * 300;
  CHECK(bytes(adamw_state(t.weights(), MomentFormat::fp32)) == 2 * sizeof(real) * parameters);
  CHECK(bytes(adamw_state(t.weights(), MomentFormat::bf16)) == 4 * parameters);
}

TEST_CASE("adamw: the same bits for 1, 2 and 5 threads, for one tensor and for its rows as tensors of their own") {
  for (const MomentFormat format : {MomentFormat::fp32, MomentFormat::bf16}) {
    AdamWConfig config;
    config.moments = format;
    const AdamWStep step{.learning_rate = 0.01, .gradient_scale = 0.3};
    std::vector<Matrix> results;
    for (int threads : {1, 2, 5}) {
      omp_set_num_threads(threads);
      Matrix w = probe(3, 20011, 1), g = probe(3, 20011, 2);  // blocks of 8192 end inside the rows
      const std::vector<NamedTensor> W{{"W", Role::weight, &w}}, G{{"W", Role::weight, &g}};
      AdamWState state = adamw_state(W, format);
      for (int i = 0; i < 3; ++i) adamw_step(state, W, G, config, step);
      results.push_back(w);
    }
    omp_set_num_threads(2);
    CHECK(different(results[0], results[1]) == "");
    CHECK(different(results[0], results[2]) == "");

    const Matrix w = probe(3, 20011, 1), g = probe(3, 20011, 2);
    std::vector<Matrix> w_rows, g_rows;
    for (Index r = 0; r < 3; ++r) w_rows.push_back(w.row(r)), g_rows.push_back(g.row(r));
    std::vector<NamedTensor> W, G;
    for (std::size_t r = 0; r < 3; ++r) {
      W.push_back({std::to_string(r), Role::weight, &w_rows[r]});
      G.push_back({std::to_string(r), Role::weight, &g_rows[r]});
    }
    AdamWState state = adamw_state(W, format);
    for (int i = 0; i < 3; ++i) adamw_step(state, W, G, config, step);
    for (Index r = 0; r < 3; ++r) CHECK(different(w_rows[static_cast<std::size_t>(r)], results[0].row(r)) == "");
  }
}

TEST_CASE("adamw: a state copied between two steps goes on with the same bits") {
  for (const MomentFormat format : {MomentFormat::fp32, MomentFormat::bf16}) {
    Tensors through, resumed;
    AdamWConfig config;
    config.moments = format;
    AdamWState a = adamw_state(through.weights(), format);
    adamw_step(a, through.weights(), through.gradients(), config, {.learning_rate = 0.1});
    AdamWState b = adamw_state(resumed.weights(), format);
    b.step = a.step;
    for (std::size_t i = 0; i < a.tensors.size(); ++i) b.tensors[i] = a.tensors[i];
    resumed.weight = through.weight;
    resumed.gain = through.gain;
    adamw_step(a, through.weights(), through.gradients(), config, {.learning_rate = 0.1});
    adamw_step(b, resumed.weights(), resumed.gradients(), config, {.learning_rate = 0.1});
    CHECK(different(through.weight, resumed.weight) == "");
    CHECK(different(through.gain, resumed.gain) == "");
  }
}

TEST_CASE("adamw: wrong lists and constants are refused with their names before anything is written") {
  Tensors t;
  AdamWState state = adamw_state(t.weights(), MomentFormat::fp32);
  const auto step = [&](const std::vector<NamedTensor>& gradients, AdamWConfig config, AdamWStep how) {
    adamw_step(state, t.weights(), gradients, config, how);
  };
  auto reordered = t.gradients();
  std::swap(reordered[0], reordered[2]);
  CHECK_THROWS_WITH(step(reordered, {}, {}),
                    "adamw_step: tensor 0 is W in the weights, norm in the gradients and W in the state; the order "
                    "must be the same");
  CHECK_THROWS_WITH(step({t.gradients()[0]}, {}, {}),
                    "adamw_step: there are 2 trained weights, 1 gradients and 2 pairs of moments; they must be the "
                    "same tensors");
  Matrix transposed = t.d_weight.transpose();
  auto reshaped = t.gradients();
  reshaped[0].value = &transposed;
  CHECK_THROWS_WITH(step(reshaped, {}, {}),
                    "adamw_step: W is [40, 300] but its gradient is [300, 40] and its moments are [40, 300]");
  CHECK_THROWS_AS(step(t.gradients(), {.moments = MomentFormat::bf16}, {}), std::invalid_argument);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(step(t.gradients(), {.beta1 = 1}, {}), std::invalid_argument);
  CHECK_THROWS_AS(step(t.gradients(), {.beta2 = -0.1}, {}), std::invalid_argument);
  CHECK_THROWS_AS(step(t.gradients(), {.decay = nan}, {}), std::invalid_argument);
  CHECK_THROWS_AS(step(t.gradients(), {.eps = 0}, {}), std::invalid_argument);
  CHECK_THROWS_AS(step(t.gradients(), {}, {.learning_rate = -1}), std::invalid_argument);
  CHECK_THROWS_AS(step(t.gradients(), {}, {.gradient_scale = nan}), std::invalid_argument);
  std::get<std::vector<real>>(state.tensors[1].v).pop_back();
  CHECK_THROWS_WITH(step(t.gradients(), {}, {}),
                    "adamw_step: the moments of norm are not 300 values in the format of the configuration");
  CHECK(state.step == 0);
  CHECK(different(t.weight, Tensors().weight) == "");
  CHECK_THROWS_AS(values_of(state.tensors[0].m, {40, 299}), std::invalid_argument);
}
