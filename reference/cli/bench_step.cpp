// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <memory>

#include "reference/cli/bench.hpp"
#include "reference/core/random.hpp"
#include "reference/core/threads.hpp"
#include "reference/linear/linear.hpp"
#include "reference/training/settings.hpp"
#include "reference/training/step.hpp"

namespace dsv3::cli {
namespace {

constexpr Index num_sequences = 4, T = 128, num_tokens = num_sequences * T;
constexpr std::uint64_t seed = 1;

/// The model of bench/peers/train_hf.py.
ModelConfig compared_config(Index N_r) {
  return {.V = 2048,
          .L = 4,
          .num_dense_layers = 1,
          .d_dense = 640,
          .mla = {.d = 256,
                  .n_h = 8,
                  .d_h = 32,
                  .d_v = 32,
                  .d_c = 64,
                  .d_c_prime = 128,
                  .rope = {.width = 16, .max_length = T, .yarn = {}}},
          .moe = {.d = 256,
                  .d_shared = 128,
                  .d_expert = 128,
                  .gate = {.N_r = N_r, .K_r = 4, .num_groups = 4, .kept_groups = 2, .routed_scaling_factor = 2.5}},
          .D = 0};
}

/// The peer's optimizer; clipping is ours on top. Its loss has no balance terms and its biases do not move.
TrainingOptions compared_options(Index N_r) {
  TrainingOptions options{.config = compared_config(N_r),
                          .schedules = {},
                          .steps = 1'000'000,
                          .sequence_length = T,
                          .micro_batch = num_sequences,
                          .adamw = {},
                          .balance_alpha = 0,
                          .seed = seed};
  options.schedules.total_tokens = options.steps * num_tokens;
  options.schedules.learning_rate = {.peak = 4.2e-4, .constant_until = options.schedules.total_tokens};
  options.schedules.batch = {.first = num_sequences, .full = num_sequences};
  return options;
}

/// The tour's, with its schedules at their beginning for as many steps as are asked for.
TrainingOptions tour_options() {
  RunSettings settings;
  settings.config = "tour", settings.steps = 1'000'000;
  return options_of(settings, config_by_name(settings.config));
}

/// Uniform random tokens.
Batch random_batch(Index V, Index length, Index first, Index count) {
  Random random = stream(seed, static_cast<std::uint64_t>(first));
  Batch batch{.count = count, .length = length, .tokens = {}};
  batch.tokens.resize(count * (length + 1));
  for (Token& token : batch.tokens) token = static_cast<Token>(random.below(V));
  return batch;
}

/// A run of training that goes on for as many steps as are asked for.
struct Training {
  explicit Training(const TrainingOptions& o) : options(o), state(initial_state(options)), trainer(options) {}
  StepReport step() {
    return trainer.step(state, [this](Index first, Index count) {
      return random_batch(options.config.V, options.sequence_length, first, count);
    });
  }
  TrainingOptions options;
  TrainingState state;
  Trainer trainer;
};

/// The products of a step with one weight: F, B and W with `tokens` rows, F again where it is recomputed.
struct Product {
  Shape weight;
  Index tokens;
  bool recomputed = false;
  double work() const { return 2e-9 * static_cast<double>(size(weight) * tokens * (recomputed ? 4 : 3)); }
};

/// All of them but the scores of attention. An expert takes an even share of the rows of its layer.
std::vector<Product> products_of(const ModelConfig& config) {
  std::vector<Product> products;
  const auto add = [&](const auto& weights, Index tokens) {
    using Weights = std::decay_t<decltype(weights)>;
    Weights::visit(
        "",
        [&](Role role, const std::string& name, const Shape& shape) {
          const bool recomputed = name == "W_UQ" || name == "W_QR" || name == "W_UK" || name == "W_UV";
          if (role == Role::weight) products.push_back({shape, tokens, recomputed});
        },
        weights);
  };
  const ModelWeights<Shape> all = shapes(config);
  for (const auto& block : all.blocks) {
    add(block.mla, num_tokens);
    add(block.ffn.shared, num_tokens);
    if (block.ffn.experts.empty()) continue;
    products.push_back({block.ffn.e, num_tokens});
    for (const auto& expert : block.ffn.experts) add(expert, num_tokens * config.moe.gate.K_r / config.moe.gate.N_r);
  }
  products.push_back({all.head, num_tokens});
  return products;
}

/// Values that gradients train: what the peer counts as parameters.
Index num_trained(const ModelConfig& config) {
  Index total = 0;
  ModelWeights<Shape> all = shapes(config);
  ModelWeights<Shape>::visit(
      "", [&](Role role, const std::string&, const Shape& shape) { total += role == Role::bias ? 0 : size(shape); },
      all);
  return total;
}

double work_of(const std::vector<Product>& products) {
  double work = 0;
  for (const Product& product : products) work += product.work();
  return work;
}

/// The same products on random matrices, each weight in memory of its own: F of all, then B and W.
struct Replay {
  explicit Replay(Index N_r) : products(products_of(compared_config(N_r))) {
    Random random(seed);
    for (const Product& product : products) {
      weights.push_back(normal_matrix(product.weight.rows, product.weight.cols, 0.006, random));
      gradients.push_back(Matrix::Zero(product.weight.rows, product.weight.cols));
      inputs.push_back(normal_matrix(product.tokens, product.weight.cols, 1, random));
      outputs.push_back(normal_matrix(product.tokens, product.weight.rows, 1, random));
    }
  }
  void run() {
    for_each([&](Index i) { fprop(weights[i], inputs[i]); });
    for_each([&](Index i) {
      if (products[i].recomputed) fprop(weights[i], inputs[i]);
      dgrad(weights[i], outputs[i]);
      wgrad(gradients[i], outputs[i], inputs[i]);
    });
  }
  /// Products with all tokens one after the other, those of the experts of a layer side by side.
  template <class F>
  void for_each(const F& f) const {
    const auto of_expert = [&](Index i) { return i < std::ssize(products) && products[i].tokens < num_tokens; };
    for (Index begin = 0, end = 0; begin < std::ssize(products); begin = end) {
      for (end = begin + 1; of_expert(begin) && of_expert(end);) ++end;
      parallel_for(end - begin, [&](Index i) { f(begin + i); });
    }
  }
  std::vector<Product> products;
  std::vector<Matrix> weights, gradients, inputs, outputs;
};

/// A step in FP8 (the report's recipe, moments in BF16) beside one that differs only in that its products are BF16's.
BenchRow fp8_step_row(const std::string& name, TrainingOptions options) {
  options.adamw.moments = MomentFormat::bf16;
  const auto steps_in = [options](const Precision& precision) {
    TrainingOptions o = options;
    o.precision = precision;
    return [training = std::make_shared<Training>(o)] { training->step(); };
  };
  const Index tokens = options.schedules.batch.full * options.sequence_length;
  return {name,
          fmt::format("training step in FP8, {} tokens", tokens),
          {{"tokens/s", static_cast<double>(tokens)}},
          Ceiling::none,
          0,
          [=] { return steps_in(Precision::fp8); },
          Peer{.name = "the step in BF16", .goal = 1.6, .at_most = true, .make = [=] {
                 return steps_in(Precision::bf16);
               }}};
}

}  // namespace

std::vector<BenchRow> step_rows() {
  std::vector<BenchRow> rows;
  for (const Index N_r : {8, 32, 256}) {
    const double work = work_of(products_of(compared_config(N_r)));
    rows.push_back(
        {fmt::format("step_{}", N_r),
         fmt::format("training step, {} parameters", num_trained(compared_config(N_r))),
         {{"tokens/s", num_tokens}, {"GFLOP/s", work}},
         Ceiling::fma,
         work,
         [N_r] { return [training = std::make_shared<Training>(compared_options(N_r))] { training->step(); }; }});
    rows.push_back(
        {fmt::format("step_{}_gemm", N_r), "its products alone", {{"GFLOP/s", work}}, Ceiling::fma, work, [N_r] {
           return [replay = std::make_shared<Replay>(N_r)] { replay->run(); };
         }});
  }
  rows.push_back(fp8_step_row("step_32_fp8", compared_options(32)));
  rows.push_back(fp8_step_row("step_tour_fp8", tour_options()));
  return rows;
}

}  // namespace dsv3::cli
