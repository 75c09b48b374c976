// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <memory>

#include "reference/cli/bench.hpp"
#include "reference/core/random.hpp"
#include "reference/core/threads.hpp"
#include "reference/linear/linear.hpp"
#include "reference/mla/attention.hpp"
#include "reference/moe/dispatch.hpp"
#include "reference/moe/swiglu.hpp"
#include "reference/norm/rms_norm.hpp"
#include "reference/optim/adamw.hpp"

namespace dsv3::cli {
namespace {

constexpr double giga = 1e-9;

Matrix random_matrix(Index rows, Index cols, std::uint64_t seed) {
  Random random(seed);
  return normal_matrix(rows, cols, 1, random);
}

double values(Index rows, Index cols) { return static_cast<double>(rows) * static_cast<double>(cols); }

/// `count` weights [out, in] one after the other, `tokens` rows for each: as the experts of a layer are used.
struct Weights {
  Weights(Index tokens, Index out, Index in, Index count)
      : x(random_matrix(tokens, in, 1)), y(random_matrix(tokens, out, 2)) {
    for (Index i = 0; i < count; ++i) all.push_back(random_matrix(out, in, 3 + static_cast<std::uint64_t>(i)));
  }
  Matrix x, y;
  std::vector<Matrix> all;
};

/// The three products of a Linear.
void add_linear(std::vector<BenchRow>& rows, const char* name, Index tokens, Index out, Index in, Index count) {
  const double work = 2 * giga * values(tokens, out) * static_cast<double>(in * count);
  const auto add = [&](const char* product, auto run) {
    rows.push_back({fmt::format("gemm_{}_{}", name, product),
                    fmt::format("{} of [{}, {}], {} tokens", count, out, in, tokens),
                    {{"GFLOP/s", work}},
                    Ceiling::fma,
                    work,
                    [=] {
                      return [run, w = std::make_shared<Weights>(tokens, out, in, count)] {
                        parallel_for(std::ssize(w->all), [&](Index i) { run(*w, w->all[i]); });
                      };
                    }});
  };
  add("fprop", [](const Weights& w, const Matrix& W) { fprop(W, w.x); });
  add("dgrad", [](const Weights& w, const Matrix& W) { dgrad(W, w.y); });
  add("wgrad", [](const Weights& w, Matrix& W) { wgrad(W, w.y, w.x); });
}

/// One head of one sequence: Eq. (10) and its gradient, with the widths of the training model.
struct Head {
  static constexpr Index T = 128, w = 48, d_v = 32;
  Matrix q = random_matrix(T, w, 1), k = random_matrix(T, w, 2), v = random_matrix(T, d_v, 3);
  Matrix d_o = random_matrix(T, d_v, 4), o{T, d_v}, lse{T, 1}, dq = q, dk = k, dv = v;
  void run() {
    const real scale = 1 / std::sqrt(static_cast<real>(w));
    attend(o, lse, q, k, v, scale);
    attend_backward(dq, dk, dv, q, k, v, o, lse, d_o, scale);
  }
};

BenchRow attention_row() {
  static constexpr Index heads = 32;
  // q k^T twice, dq, dk of width w; p v, dp, dv of width d_v; of the pairs those that are causal
  const double work = 2 * giga * values(Head::T, Head::T + 1) / 2 * (4 * Head::w + 3 * Head::d_v) * heads;
  return {"attention",
          fmt::format("{} heads, T {}, forward and backward", heads, Head::T),
          {{"GFLOP/s", work}},
          Ceiling::fma,
          work,
          [] {
            return [all = std::make_shared<std::vector<Head>>(heads)] {
              parallel_for(heads, [&](Index i) { (*all)[i].run(); });
            };
          }};
}

constexpr GateConfig v3_gate{.N_r = 256, .K_r = 8, .num_groups = 8, .kept_groups = 4, .routed_scaling_factor = 2.5};
constexpr Index num_tokens = 4096;

BenchRow gate_row() {
  struct Data {
    Matrix logits = random_matrix(num_tokens, v3_gate.N_r, 1), b = random_matrix(1, v3_gate.N_r, 2) * real(0.1);
  };
  return {"gate",
          fmt::format("{} tokens, V3's 8 of 256", num_tokens),
          {{"ns/token", 1e9 / num_tokens, true}},
          Ceiling::none,
          0,
          [] { return [data = std::make_shared<Data>()] { route_logits(v3_gate, data->logits, data->b); }; }};
}

void add_permutation(std::vector<BenchRow>& rows) {
  constexpr Index d = 1024, K_r = v3_gate.K_r, slots = num_tokens * K_r;
  struct Data {
    Routing routing = route_logits(v3_gate, random_matrix(num_tokens, v3_gate.N_r, 1), Matrix::Zero(1, v3_gate.N_r));
    Dispatch dispatch = sort_by_expert(routing.experts, v3_gate.N_r);
    Matrix x = random_matrix(num_tokens, d, 2), y = random_matrix(slots, d, 3);
  };
  const double gathered = 2 * giga * sizeof(real) * values(slots, d);
  rows.push_back({"permute",
                  fmt::format("sort and gather {} x {} rows of {}", num_tokens, K_r, d),
                  {{"GB/s", gathered}},
                  Ceiling::copy,
                  gathered,
                  [] {
                    return [data = std::make_shared<Data>()] {
                      gather(data->x, sort_by_expert(data->routing.experts, v3_gate.N_r).token_of_row);
                    };
                  }});
  const double combined = giga * sizeof(real) * values(slots + 2 * num_tokens, d);
  rows.push_back({"combine", "the same rows weighted and added up", {{"GB/s", combined}}, Ceiling::copy, combined, [] {
                    return [data = std::make_shared<Data>()] {
                      add_combined(data->x, data->dispatch, data->routing.g, data->y);
                    };
                  }});
}

BenchRow adamw_row() {
  constexpr Index n = 2048;
  constexpr double size = giga * n * n, bytes = size * 7 * sizeof(real);  // reads w, g, m, v; writes w, m, v
  struct Data {
    Matrix w = random_matrix(n, n, 1), g = random_matrix(n, n, 2);
    std::vector<NamedTensor> weights{{"w", Role::weight, &w}}, gradients{{"w", Role::weight, &g}};
    AdamWState state = adamw_state(weights, MomentFormat::fp32);
  };
  return {"adamw", "FP32 moments, 4.2M parameters", {{"GB/s", bytes}, {"Gparam/s", size}}, Ceiling::copy, bytes, [] {
            return [data = std::make_shared<Data>()] {
              adamw_step(data->state, data->weights, data->gradients, {}, {.learning_rate = 1e-4});
            };
          }};
}

BenchRow rms_norm_row() {
  constexpr Index d = 1024;
  struct Data {
    Matrix x = random_matrix(num_tokens, d, 1);
    RmsNorm::Params p{random_matrix(1, d, 2)};
  };
  const double size = giga * values(num_tokens, d);
  return {"rms_norm",
          fmt::format("forward, [{}, {}]", num_tokens, d),
          {{"Gelem/s", size}},
          Ceiling::copy,
          2 * sizeof(real) * size,
          [] { return [data = std::make_shared<Data>()] { RmsNorm{}.forward(data->p, data->x, {}); }; }};
}

BenchRow swiglu_row() {
  constexpr Index f = 1024;
  using Stored = SwigluFfn::Stored;
  const double size = giga * values(num_tokens, f);
  return {"swiglu",
          fmt::format("silu(a) * b, [{}, {}]", num_tokens, f),
          {{"Gelem/s", size}},
          Ceiling::copy,
          3 * sizeof(real) * size,
          [] {
            return [ab = std::make_shared<Stored>(
                        Stored{random_matrix(num_tokens, f, 1), random_matrix(num_tokens, f, 2)})] {
              SwigluFfn{}.recompute({}, *ab, {}, {});
            };
          }};
}

}  // namespace

std::vector<BenchRow> kernel_rows() {
  std::vector<BenchRow> rows;
  add_linear(rows, "attention", 512, 256, 256, 1);
  add_linear(rows, "head", 512, 2048, 256, 1);
  add_linear(rows, "32_experts", 64, 128, 256, 32);
  add_linear(rows, "256_experts", 8, 128, 256, 256);
  add_linear(rows, "large", 1024, 1024, 1024, 1);
  rows.push_back(attention_row());
  rows.push_back(gate_row());
  add_permutation(rows);
  rows.push_back(adamw_row());
  rows.push_back(rms_norm_row());
  rows.push_back(swiglu_row());
  return rows;
}

}  // namespace dsv3::cli
