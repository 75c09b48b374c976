// SPDX-License-Identifier: MIT
#include "reference/optim/adamw.hpp"

#include <cmath>

#include "reference/core/memory.hpp"
#include "reference/core/require.hpp"
#include "reference/core/threads.hpp"
#include "reference/formats/bf16.hpp"

namespace dsv3 {
namespace {

/// Elements of one block: its w, g, m and v (128 KiB in FP32) stay in a core's second-level cache while clear runs.
constexpr Index kBlock = 8192;

real widened(real value) { return value; }
real widened(std::uint16_t code) { return static_cast<real>(float_from_bf16(code)); }
void store(real& moment, real value) { moment = value; }
void store(std::uint16_t& moment, real value) { moment = bf16_from_float(static_cast<float>(value)); }

/// The constants of one update, as the loop multiplies by them.
struct Factors {
  real beta1, one_minus_beta1, beta2, one_minus_beta2;
  real m_hat, v_hat;  ///< 1/(1-beta^t)
  real eps, decay, learning_rate, gradient_scale;
};

Factors factors_of(const AdamWConfig& config, const AdamWStep& step, Index t) {
  const auto correction = [&](double beta) { return 1 / (1 - std::pow(beta, static_cast<double>(t))); };
  const auto rounded = [](double x) { return static_cast<real>(x); };
  return {rounded(config.beta1),
          rounded(1 - config.beta1),
          rounded(config.beta2),
          rounded(1 - config.beta2),
          rounded(correction(config.beta1)),
          rounded(correction(config.beta2)),
          rounded(config.eps),
          rounded(config.decay),
          rounded(step.learning_rate),
          rounded(step.gradient_scale)};
}

/// One pass: reads w, g, m, v and writes w, m, v. The arrays never overlap, which is what lets the loop be vectorised.
template <class T>
void update(Index count, real* __restrict w, const real* __restrict g, T* __restrict m, T* __restrict v,
            const Factors& by) {
  const Factors f = by;
  for (Index i = 0; i < count; ++i) {
    const real g_i = f.gradient_scale * g[i];
    const real m_i = f.beta1 * widened(m[i]) + f.one_minus_beta1 * g_i;
    const real v_i = f.beta2 * widened(v[i]) + f.one_minus_beta2 * (g_i * g_i);
    w[i] -= f.learning_rate * (f.m_hat * m_i / (std::sqrt(f.v_hat * v_i) + f.eps) + f.decay * w[i]);
    store(m[i], m_i);
    store(v[i], v_i);
  }
}

/// The tensors that gradients train.
std::vector<NamedTensor> trained(const std::vector<NamedTensor>& tensors) {
  std::vector<NamedTensor> all;
  for (const NamedTensor& tensor : tensors)
    if (tensor.role != Role::bias) all.push_back(tensor);
  return all;
}

bool fits(const Moment& moment, Index size, MomentFormat format) {
  const bool is_fp32 = std::holds_alternative<std::vector<real>>(moment);
  return is_fp32 == (format == MomentFormat::fp32) &&
         std::visit([&](const auto& values) { return std::ssize(values) == size; }, moment);
}

void check_constants(const AdamWConfig& config, const AdamWStep& step) {
  const auto is_beta = [](double beta) { return beta >= 0 && beta < 1; };
  const auto is_size = [](double x) { return std::isfinite(x) && x >= 0; };
  require(is_beta(config.beta1), "adamw_step", "beta1 is ", config.beta1, "; it must be in [0, 1)");
  require(is_beta(config.beta2), "adamw_step", "beta2 is ", config.beta2, "; it must be in [0, 1)");
  require(is_size(config.decay), "adamw_step", "decay is ", config.decay, "; it must be finite and >= 0");
  require(is_size(config.eps) && config.eps > 0, "adamw_step", "eps is ", config.eps, "; it must be finite and > 0");
  require(is_size(step.learning_rate), "adamw_step", "learning_rate is ", step.learning_rate,
          "; it must be finite and >= 0");
  require(std::isfinite(step.gradient_scale), "adamw_step", "gradient_scale is ", step.gradient_scale,
          "; it must be finite: leave out the update when the gradient norm is not");
}

void check_lists(const AdamWState& state, const std::vector<NamedTensor>& weights,
                 const std::vector<NamedTensor>& gradients, MomentFormat format) {
  require(weights.size() == gradients.size() && weights.size() == state.tensors.size(), "adamw_step", "there are ",
          weights.size(), " trained weights, ", gradients.size(), " gradients and ", state.tensors.size(),
          " pairs of moments; they must be the same tensors");
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const Matrix& w = *weights[i].value;
    const TensorMoments& moments = state.tensors[i];
    require(gradients[i].name == weights[i].name && moments.name == weights[i].name, "adamw_step", "tensor ", i, " is ",
            weights[i].name, " in the weights, ", gradients[i].name, " in the gradients and ", moments.name,
            " in the state; the order must be the same");
    require(shape_of(*gradients[i].value) == shape_of(w) && moments.shape == shape_of(w), "adamw_step", weights[i].name,
            " is ", shape_text(w), " but its gradient is ", shape_text(*gradients[i].value), " and its moments are ",
            text(moments.shape));
    require(fits(moments.m, w.size(), format) && fits(moments.v, w.size(), format), "adamw_step", "the moments of ",
            weights[i].name, " are not ", w.size(), " values in the format of the configuration");
  }
}

/// A block of one tensor. Blocks are cut by size alone, however many threads there are.
struct Block {
  std::size_t tensor;
  Index begin, count;
};

std::vector<Block> blocks_of(const std::vector<NamedTensor>& tensors) {
  std::vector<Block> blocks;
  for (std::size_t i = 0; i < tensors.size(); ++i)
    for (Index begin = 0; begin < tensors[i].value->size(); begin += kBlock)
      blocks.push_back({i, begin, std::min(kBlock, tensors[i].value->size() - begin)});
  return blocks;
}

}  // namespace

AdamWState adamw_state(const std::vector<NamedTensor>& weights, MomentFormat format) {
  AdamWState state;
  std::size_t values = 0;
  for (const NamedTensor& tensor : trained(weights)) values += 2 * static_cast<std::size_t>(tensor.value->size());
  expect_large_tensors(values * (format == MomentFormat::fp32 ? sizeof(real) : sizeof(std::uint16_t)));
  for (const NamedTensor& tensor : trained(weights)) {
    const auto size = static_cast<std::size_t>(tensor.value->size());
    const Moment zero =
        format == MomentFormat::fp32 ? Moment(std::vector<real>(size)) : Moment(std::vector<std::uint16_t>(size));
    state.tensors.push_back({tensor.name, shape_of(*tensor.value), zero, zero});
  }
  return state;
}

void adamw_step(AdamWState& state, const std::vector<NamedTensor>& weights, const std::vector<NamedTensor>& gradients,
                const AdamWConfig& config, const AdamWStep& step) {
  const std::vector<NamedTensor> w = trained(weights), g = trained(gradients);
  check_constants(config, step);
  check_lists(state, w, g, config.moments);
  const Factors decayed = factors_of(config, step, ++state.step);
  Factors undecayed = decayed;
  undecayed.decay = 0;
  const std::vector<Block> blocks = blocks_of(w);
  parallel_for(std::ssize(blocks), [&](Index b) {
    const Block block = blocks[static_cast<std::size_t>(b)];
    const NamedTensor& tensor = w[block.tensor];
    TensorMoments& moments = state.tensors[block.tensor];
    real* const weight = tensor.value->data() + block.begin;
    real* const gradient = g[block.tensor].value->data() + block.begin;
    const Factors& factors = tensor.role == Role::weight ? decayed : undecayed;
    std::visit(
        [&](auto& m) {
          auto& v = std::get<std::decay_t<decltype(m)>>(moments.v);
          update(block.count, weight, gradient, m.data() + block.begin, v.data() + block.begin, factors);
        },
        moments.m);
    if (step.clear_gradients) std::fill_n(gradient, block.count, real(0));
  });
}

Matrix values_of(const Moment& moment, const Shape& shape) {
  Matrix out(shape.rows, shape.cols);
  std::visit(
      [&](const auto& values) {
        require(std::ssize(values) == out.size(), "values_of", "there are ", values.size(), " values; ", text(shape),
                " needs ", out.size());
        std::transform(values.begin(), values.end(), out.data(), [](auto value) { return widened(value); });
      },
      moment);
  return out;
}

Moment moment_of(const Matrix& values, MomentFormat format) {
  if (format == MomentFormat::fp32) return std::vector<real>(values.data(), values.data() + values.size());
  std::vector<std::uint16_t> codes(values.size());
  std::transform(values.data(), values.data() + values.size(), codes.begin(),
                 [](real value) { return bf16_from_float(static_cast<float>(value)); });
  return codes;
}

std::size_t bytes(const AdamWState& state) {
  std::size_t total = 0;
  for (const TensorMoments& tensor : state.tensors)
    for (const Moment* moment : {&tensor.m, &tensor.v})
      total += std::visit([](const auto& values) { return values.size() * sizeof(values[0]); }, *moment);
  return total;
}

}  // namespace dsv3
