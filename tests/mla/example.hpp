// SPDX-License-Identifier: MIT
/// \file
/// A small MLA in which every width is another one and YaRN has all its effects; and MLA once more, in plain loops.
#pragma once
#include <cmath>
#include <numbers>
#include <vector>

#include "reference/core/random.hpp"
#include "reference/mla/mla.hpp"

namespace dsv3::test {

/// YaRN: ramp 0, 1/3, 2/3, 1 over the four pairs; mscale and mscale_all_dim differ.
inline MlaConfig example_config(Index d_c_prime = 14) {
  return {.d = 24,
          .n_h = 3,
          .d_h = 6,
          .d_v = 5,
          .d_c = 10,
          .d_c_prime = d_c_prime,
          .rope = {.width = 8,
                   .theta = 100,
                   .max_length = 128,
                   .yarn = YarnConfig{.factor = 8, .original_length = 64, .beta_fast = 4, .mscale = 0.5}}};
}

/// Weights large enough that attention is far from uniform, gains around 1.
inline MlaWeights<Matrix> example_weights(const MlaConfig& config, std::uint64_t seed = 7) {
  MlaWeights<Matrix> p = zeros(mla_shapes(config));
  Random random(seed);
  for (auto& [name, role, value] : tensors_of(p)) {
    const double std = role == Role::gain ? 0.3 : 1.5 / std::sqrt(static_cast<double>(value->cols()));
    *value = normal_matrix(value->rows(), value->cols(), std, random);
    if (role == Role::gain) value->array() += 1;
  }
  return p;
}

inline Context context_of(std::initializer_list<std::pair<Index, Index>> lengths_and_positions) {
  Context context;
  for (const auto& [length, position] : lengths_and_positions) context.sequences.add(length, position);
  return context;
}

/// Eqs. (1) to (11) for one token after the other, over scalars, in double, straight from the printed sums.
class SlowMla {
 public:
  using Vector = std::vector<double>;
  SlowMla(const MlaConfig& config, const MlaWeights<Matrix>& weights) : c(config), p(weights) {}

  Matrix forward(const Matrix& h, const Sequences& sequences) const {
    Matrix u(h.rows(), c.d);
    for (Index s = 0; s < sequences.count(); ++s) {
      std::vector<Token> past;
      for (Index t = sequences.begin[s]; t < sequences.begin[s + 1]; ++t) {
        const Vector h_t(h.row(t).begin(), h.row(t).end());
        past.push_back(token(h_t, sequences.first_position[s] + t - sequences.begin[s]));
        const Vector u_t = times(p.W_O, attention(past));
        for (Index j = 0; j < c.d; ++j) u(t, j) = static_cast<real>(u_t[j]);
      }
    }
    return u;
  }

 private:
  struct Token {
    Vector q_C, q_R, k_C, k_R, v_C;
  };

  static Vector times(const Matrix& W, const Vector& x) {
    Vector y(W.rows(), 0);
    for (Index i = 0; i < W.rows(); ++i)
      for (Index j = 0; j < W.cols(); ++j) y[i] += double{W(i, j)} * x[j];
    return y;
  }

  Vector norm(Vector x, const Matrix& g) const {
    double squares = 0;
    for (const double value : x) squares += value * value;
    const double rms = std::sqrt(squares / static_cast<double>(x.size()) + c.eps);
    for (std::size_t j = 0; j < x.size(); ++j) x[j] = x[j] / rms * g(0, j);
    return x;
  }

  /// Of pair i, with YaRN as section 4.3 has it.
  double frequency(Index i) const {
    const RopeConfig& r = c.rope;
    const double f = std::pow(r.theta, -2.0 * double(i) / double(r.width));
    if (!r.yarn || r.max_length <= r.yarn->original_length) return f;
    const auto pair_with = [&](double turns) {
      return double(r.width) * std::log(double(r.yarn->original_length) / (turns * 2 * std::numbers::pi)) /
             (2 * std::log(r.theta));
    };
    const double low = std::floor(pair_with(r.yarn->beta_fast)), high = std::ceil(pair_with(r.yarn->beta_slow));
    const double ramp = std::min(1.0, std::max(0.0, (double(i) - low) / (high - low)));
    return f * (1 - ramp) + f * ramp / r.yarn->factor;
  }

  bool yarn() const { return c.rope.yarn && c.rope.max_length > c.rope.yarn->original_length; }
  double temperature(double m) const { return yarn() ? 1 + 0.1 * m * std::log(c.rope.yarn->factor) : 1; }

  Vector rope(Vector x, Index position) const {
    const double factor = yarn() ? temperature(c.rope.yarn->mscale) / temperature(c.rope.yarn->mscale_all_dim) : 1;
    for (std::size_t a = 0; a < x.size(); a += 2) {
      const double angle = double(position) * frequency(Index(a) % c.rope.width / 2);
      const double re = x[a], im = x[a + 1];
      x[a] = factor * (re * std::cos(angle) - im * std::sin(angle));
      x[a + 1] = factor * (re * std::sin(angle) + im * std::cos(angle));
    }
    return x;
  }

  Token token(const Vector& h, Index position) const {
    const Vector c_KV = norm(times(p.W_DKV, h), p.g_KV);
    const Vector c_Q = c.d_c_prime > 0 ? norm(times(p.W_DQ, h), p.g_Q) : h;
    return {.q_C = times(p.W_UQ, c_Q),
            .q_R = rope(times(p.W_QR, c_Q), position),
            .k_C = times(p.W_UK, c_KV),
            .k_R = rope(times(p.W_KR, h), position),
            .v_C = times(p.W_UV, c_KV)};
  }

  /// [o_1; ...; o_n_h] of the last token.
  Vector attention(const std::vector<Token>& past) const {
    const double m = yarn() ? temperature(c.rope.yarn->mscale_all_dim) : 1;
    const Token& t = past.back();
    Vector o;
    for (Index i = 0; i < c.n_h; ++i) {
      double sum = 0;
      Vector o_i(c.d_v, 0);
      for (const Token& j : past) {
        double score = 0;
        for (Index a = 0; a < c.d_h; ++a) score += t.q_C[i * c.d_h + a] * j.k_C[i * c.d_h + a];
        for (Index a = 0; a < c.rope.width; ++a) score += t.q_R[i * c.rope.width + a] * j.k_R[a];
        const double e = std::exp(score * m * m / std::sqrt(double(c.d_h + c.rope.width)));
        sum += e;
        for (Index a = 0; a < c.d_v; ++a) o_i[a] += e * j.v_C[i * c.d_v + a];
      }
      for (const double value : o_i) o.push_back(value / sum);
    }
    return o;
  }

  const MlaConfig& c;
  const MlaWeights<Matrix>& p;
};

}  // namespace dsv3::test
