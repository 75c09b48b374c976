// SPDX-License-Identifier: MIT
#include "reference/cli/tour_fp8.hpp"

#include "reference/cli/program.hpp"
#include "reference/cli/progress.hpp"
#include "reference/training/fp8_experiment.hpp"
#include "reference/training/run.hpp"

namespace dsv3::cli {

Fp8BesideBf16 train_in_bf16_and_fp8(const std::string& data, Index steps, std::uint64_t seed) {
  const RunSettings settings{.config = "tiny", .data = data, .steps = steps, .moments = "bf16", .seed = seed};
  const ModelConfig config = config_of(settings);
  const RunText text = text_with_new_tokenizer(hold_out(load_documents(data)), static_cast<Token>(config.V));
  Progress progress("a smaller one in BF16 and in FP8", 2 * steps);
  const auto loss_in = [&](const Precision& precision) {
    return loss_curve(settings, config, text, precision, [&](Index, double) {
      progress.advance();
      return !Interrupt::asked();
    });
  };
  const std::vector<double> bf16 = loss_in(Precision::bf16), fp8 = loss_in(Precision(Fp8Recipe{}));
  if (Interrupt::asked()) return {};
  return {.steps = steps,
          .last = steps - steps / 2,
          .loss = mean_of_last_half(smoothed(bf16)),
          .error = mean_of_last_half(relative_errors(fp8, bf16))};
}

}  // namespace dsv3::cli
