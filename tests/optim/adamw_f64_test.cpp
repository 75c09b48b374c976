// SPDX-License-Identifier: MIT
#include <cmath>

#include "reference/formats/bf16.hpp"
#include "reference/optim/adamw.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// AdamW of one value from the whole list of its gradients: each moment as the weighted sum it stands for, not as a
/// recurrence. Weights of a moment at step t: (1-beta) beta^(t-i), and their sum, 1-beta^t, as the correction.
double closed_form(double w, const std::vector<double>& gradients, const AdamWConfig& config, double decay,
                   double learning_rate) {
  for (std::size_t t = 1; t <= gradients.size(); ++t) {
    double m = 0, v = 0, weight_of_m = 0, weight_of_v = 0;
    for (std::size_t i = 1; i <= t; ++i) {
      const double age = static_cast<double>(t - i), g = gradients[i - 1];
      m += std::pow(config.beta1, age) * g;
      weight_of_m += std::pow(config.beta1, age);
      v += std::pow(config.beta2, age) * g * g;
      weight_of_v += std::pow(config.beta2, age);
    }
    const double shrunk = w * (1 - learning_rate * decay);
    w = shrunk - learning_rate * (m / weight_of_m) / (std::sqrt(v / weight_of_v) + config.eps);
  }
  return w;
}

struct Run {
  Matrix w, gain;                  // after the last step
  std::vector<Matrix> dw, d_gain;  // per step
};

Run run(const AdamWConfig& config, double learning_rate, int steps) {
  Run r{probe(20, 15, 1), probe(1, 15, 2), {}, {}};
  const std::vector<NamedTensor> weights{{"W", Role::weight, &r.w}, {"g", Role::gain, &r.gain}};
  AdamWState state = adamw_state(weights, config.moments);
  for (int t = 0; t < steps; ++t) {
    const auto seed = static_cast<std::uint64_t>(10 + 2 * t);
    Matrix dw = probe(20, 15, seed), d_gain = probe(1, 15, seed + 1);
    r.dw.push_back(dw);
    r.d_gain.push_back(d_gain);
    adamw_step(state, weights, {{"W", Role::weight, &dw}, {"g", Role::gain, &d_gain}}, config,
               {.learning_rate = learning_rate});
  }
  return r;
}

Matrix twin(const Matrix& start, const std::vector<Matrix>& gradients, const AdamWConfig& config, double decay,
            double learning_rate) {
  Matrix out = start;
  for (Index i = 0; i < out.size(); ++i) {
    std::vector<double> of_element;
    for (const Matrix& g : gradients) of_element.push_back(g.data()[i]);
    out.data()[i] = closed_form(start.data()[i], of_element, config, decay, learning_rate);
  }
  return out;
}

}  // namespace

TEST_CASE("adamw: 20 steps agree with the moments written out as weighted sums of all gradients") {
  const AdamWConfig config;
  const Run r = run(config, 0.01, 20);
  // Some twenty roundings of values of size 1 per step: 20 * 20 * 2^-53.
  CHECK(outside(r.w, twin(probe(20, 15, 1), r.dw, config, config.decay, 0.01), 5e-14) == "");
  CHECK(outside(r.gain, twin(probe(1, 15, 2), r.d_gain, config, 0, 0.01), 5e-14) == "");
}

TEST_CASE("adamw: BF16 moments stay near the exact ones") {
  AdamWConfig config;
  const Run exact = run(config, 0.01, 20);
  config.moments = MomentFormat::bf16;
  const Run rounded = run(config, 0.01, 20);
  // Each rounding errs by 2^-9 of a moment and fades with 1/(1-beta): 10 of them in m, 20 in v, halved by the root.
  // An update is about 1 learning rate, 20 updates: 20 * 0.01 * (10 + 10) * 2^-9.
  CHECK(outside(exact.w, rounded.w, 20 * 0.01 * 20 * 0x1p-9) == "");
  CHECK(max_abs(exact.w - rounded.w) > 1e-6);  // and are not the exact ones
}
