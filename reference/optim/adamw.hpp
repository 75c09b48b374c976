// SPDX-License-Identifier: MIT
/// \file
/// AdamW with decoupled weight decay over a list of tensors, section 4.2; its moments in FP32 or BF16, section 3.3.3.
#pragma once
#include <cstdint>
#include <variant>
#include <vector>

#include "reference/core/parameters.hpp"

namespace dsv3 {

/// How the two moments are stored. The master weights and the gradients stay FP32 in both cases.
enum class MomentFormat { fp32, bf16 };

/// Constants of section 4.2. Differs from the report: it does not give epsilon; 1e-8 is the usual value.
struct AdamWConfig {
  double beta1 = 0.9;   ///< in [0, 1)
  double beta2 = 0.95;  ///< in [0, 1)
  double decay = 0.1;   ///< weight decay of matrices, >= 0; gains are not decayed
  double eps = 1e-8;    ///< > 0
  MomentFormat moments = MomentFormat::fp32;
};

/// One moment of one tensor in row-major order: FP32 values or BF16 codes.
using Moment = std::variant<std::vector<real>, std::vector<std::uint16_t>>;

/// m and v of one tensor, under the tensor's name.
struct TensorMoments {
  std::string name;
  Shape shape;
  Moment m, v;
};

/// All that AdamW remembers, as plain data: what a checkpoint stores.
struct AdamWState {
  Index step = 0;  ///< updates made so far; t of the next one is step + 1
  std::vector<TensorMoments> tensors;
};

/// What differs from one update to the next.
struct AdamWStep {
  double learning_rate = 0;      ///< finite, >= 0
  double gradient_scale = 1;     ///< finite; multiplies every gradient: the factor of clip.hpp, 1/count, or both
  bool clear_gradients = false;  ///< leave zeros in the gradients, ready for the next accumulation
};

/// Zero moments for every tensor but the biases, in the order of the list.
AdamWState adamw_state(const std::vector<NamedTensor>& weights, MomentFormat format);

/// One update of every weight and gain. A bias (b_i of Eq. (16)) belongs to the balance rule and is skipped in both
/// lists: neither read nor written, whether there is a gradient of that name or not.
/// \f[ m_t = \beta_1 m_{t-1} + (1-\beta_1) g_t, \quad v_t = \beta_2 v_{t-1} + (1-\beta_2) g_t^2, \quad
///     w_t = w_{t-1} - \eta \left( \frac{m_t/(1-\beta_1^t)}{\sqrt{v_t/(1-\beta_2^t)} + \epsilon} + \lambda w_{t-1}
///     \right) \f]
/// with g_t the gradient times `gradient_scale` and lambda the decay (0 for a gain).
///
/// Numerics contract: the constants 1-beta, 1/(1-beta^t) are formed in double and rounded to `real`; then every
/// operation is rounded to `real` in the order written, no fused multiply-add. BF16 moments are widened exactly before
/// and rounded to nearest even after the update; the weight moves by the moments before that rounding. Each element
/// stands alone, so the bits are the same for any number of threads. A non-finite gradient spoils its own element:
/// look at global_norm first.
/// Differs from the report: it gives neither epsilon nor the rounding of the BF16 moments nor which tensors decay.
/// \throws std::invalid_argument before anything is written: a constant out of range; weights, gradients and state
/// that differ in names, order, shapes or format.
void adamw_step(AdamWState& state, const std::vector<NamedTensor>& weights, const std::vector<NamedTensor>& gradients,
                const AdamWConfig& config, const AdamWStep& step);

/// The moment as a Matrix of its tensor's shape, BF16 widened exactly.
Matrix values_of(const Moment& moment, const Shape& shape);

/// The inverse, rounded to nearest even for BF16.
Moment moment_of(const Matrix& values, MomentFormat format);

/// What the moments occupy: 8 bytes a parameter in FP32, 4 in BF16.
std::size_t bytes(const AdamWState& state);

}  // namespace dsv3
