// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "reference/cli/commands.hpp"
#include "reference/cli/progress.hpp"
#include "reference/core/require.hpp"
#include "reference/training/fp8_experiment.hpp"
#include "reference/training/gradient_error.hpp"
#include "reference/training/run.hpp"

namespace dsv3::cli {
namespace {

struct Row {
  std::string name, what;
  Precision precision;
  std::vector<double> errors = {};  ///< of each batch
  double mean() const {
    return std::accumulate(errors.begin(), errors.end(), 0.0) / static_cast<double>(errors.size());
  }
  double least() const { return *std::min_element(errors.begin(), errors.end()); }
  double most() const { return *std::max_element(errors.begin(), errors.end()); }
};

std::vector<Row> rows() {
  std::vector<Row> all{{"bf16", "BF16 in place of FP32", Precision::bf16}};
  for (const Fp8Variant& v : fp8_variants()) all.push_back({v.name, v.what, Precision(v.recipe)});
  return all;
}

void print(const std::vector<Row>& all, const Fp8GradientsArguments& a, double loss) {
  fmt::print(
      "|g - g_FP32| / |g_FP32| of all gradients: {} after {} steps in BF16 (loss {:.2f}), mean of {} batches; least .. "
      "most\n\n",
      a.settings.config, a.settings.steps, loss, a.batches);
  for (const Row& row : all)
    fmt::print("  {:<16} {:6.2f}%  ({:.2f} .. {:.2f})  {}\n", row.name, 100 * row.mean(), 100 * row.least(),
               100 * row.most(), row.what);
}

nlohmann::ordered_json as_json(const std::vector<Row>& all, const Fp8GradientsArguments& a, double loss) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const Row& row : all)
    rows.push_back(
        {{"name", row.name}, {"what", row.what}, {"error", row.mean()}, {"least", row.least()}, {"most", row.most()}});
  return {{"config", a.settings.config}, {"steps", a.settings.steps}, {"loss", loss}, {"gradients", rows}};
}

}  // namespace

int fp8_gradients(const Fp8GradientsArguments& a) {
  require(!a.settings.data.empty(), "fp8", "--data is missing; it needs a text file or a folder of them");
  const ModelConfig config = config_of(a.settings);
  TrainingOptions options = options_of(a.settings, config);
  require_memory(a.settings, config, options.adamw.moments, "fp8");
  options.precision = Precision::bf16;
  const RunText text = text_with_new_tokenizer(hold_out(load_documents(a.settings.data)), static_cast<Token>(config.V));
  const BatchSource batches = batches_of(text, a.settings.sequence_length, a.settings.seed);

  std::vector<Row> all = rows();
  Progress progress("steps and batches", a.settings.steps + std::ssize(all) * a.batches);
  TrainingState state = initial_state(options);
  Trainer trainer(options);
  double loss = 0;
  for (Index i = 0; i < a.settings.steps; ++i, progress.advance()) loss = trainer.step(state, batches).loss.main_loss();
  for (Row& row : all)
    for (Index i = 0; i < a.batches; ++i, progress.advance())
      row.errors.push_back(
          gradient_error(options, state, batches, state.sequences + i * options.micro_batch, row.precision));
  progress.finish();
  if (a.json) fmt::print("{}\n", as_json(all, a, loss).dump());
  else print(all, a, loss);
  return 0;
}

}  // namespace dsv3::cli
