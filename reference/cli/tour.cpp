// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "reference/checkpoint/atomic_file.hpp"
#include "reference/cli/commands.hpp"
#include "reference/cli/program.hpp"
#include "reference/cli/progress.hpp"
#include "reference/cli/tour_folder.hpp"
#include "reference/cli/tour_fp8.hpp"
#include "reference/core/require.hpp"
#include "reference/data/bigram.hpp"
#include "reference/serving/generate.hpp"
#include "reference/training/curves.hpp"
#include "reference/training/run.hpp"
#include "reference/training/run_folder.hpp"

namespace dsv3::cli {
namespace {

namespace fs = std::filesystem;

constexpr Index default_steps = 1000;  // about three minutes on two cores, with the rest
constexpr Index comparison_share = 8;  // the run without bias update takes an eighth of the steps
constexpr Index fp8_tenths = 3;        // and the two of a smaller model in BF16 and FP8 three tenths each

/// Runs and shows a bar; remembers MaxVio of every step. Ends early, saved, on Ctrl-C.
RunResult watched_run(const RunSettings& settings, const RunLock& lock, const char* what,
                      std::vector<double>& max_vio) {
  Progress progress(what, settings.steps);
  RunEvents events;
  events.stop = Interrupt::asked;
  events.step = [&](const StepReport& r, const StepExtras& extras) {
    max_vio.push_back(mean_max_vio(r.loss.load));
    progress.show(r.step, fmt::format("loss {:.3f}  MaxVio {:.2f}  {:.0f} tok/s", r.loss.main_loss(), max_vio.back(),
                                      static_cast<double>(r.loss.tokens) / extras.seconds));
  };
  return start_run(settings, lock, events);
}

double mean(const std::vector<double>& v, std::size_t begin, std::size_t end) {
  double sum = 0;
  for (std::size_t i = begin; i < end; ++i) sum += v[i];
  return sum / static_cast<double>(end - begin);
}

std::vector<std::vector<Token>> with_end(std::vector<std::vector<Token>> documents, Token end) {
  for (auto& document : documents) document.push_back(end);
  return documents;
}

std::vector<std::vector<Token>> sequences_of(const Batch& batch) {
  std::vector<std::vector<Token>> sequences;
  for (auto from = batch.tokens.begin(); from != batch.tokens.end(); from += batch.length + 1)
    sequences.emplace_back(from, from + batch.length + 1);
  return sequences;
}

/// The loss of a bigram model that has read the same training text, on the same held-out sequences.
double bigram_loss_of(const RunResult& run) {
  const Bigram bigram(with_end(run.text.training, run.text.tokenizer.added(end_token)),
                      run.text.tokenizer.vocab_size());
  return bigram.mean_loss(sequences_of(run.held_out));
}

/// Of the held-out positions, the share at which MTP module 1 names the token that the main model would choose one step
/// later: how often a draft of one token would be accepted in greedy decoding.
double draft_acceptance(const Inference& model, const Batch& held_out) {
  Index equal = 0, all = 0;
  for (Index s = 0; s < std::min<Index>(held_out.count, 8); ++s) {
    const std::span tokens(held_out.tokens.data() + s * (held_out.length + 1),
                           static_cast<std::size_t>(held_out.length));
    SequenceState state = model.start();
    const Matrix h = model.extend(state, tokens, AttentionForm::naive);
    const Matrix main = model.logits(h), draft = model.mtp_logits(h, tokens)[0];
    for (Index i = 0; i < draft.rows(); ++i, ++all) {
      Index of_main = 0, of_draft = 0;
      main.row(i + 1).maxCoeff(&of_main);
      draft.row(i).maxCoeff(&of_draft);
      equal += of_main == of_draft;
    }
  }
  return static_cast<double>(equal) / static_cast<double>(all);
}

/// Largest difference between the logits of the training form and of one absorbed step per token, over the largest
/// logit.
double absorbed_difference(const Inference& model, std::span<const Token> tokens) {
  SequenceState whole = model.start(), stepwise = model.start();
  const Matrix expected = model.logits(model.extend(whole, tokens, AttentionForm::naive));
  double difference = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const Matrix row = model.logits(model.extend(stepwise, tokens.subspan(i, 1), AttentionForm::absorbed));
    difference =
        std::max(difference, static_cast<double>((row - expected.row(static_cast<Index>(i))).cwiseAbs().maxCoeff()));
  }
  return difference / static_cast<double>(expected.cwiseAbs().maxCoeff());
}

/// One line of the table: what, the report's statement, what was measured, and whether a check holds (nothing: no
/// check).
class Table {
 public:
  Table() { row("", "the report (V3)", "here"); }
  void row(const std::string& what, const std::string& report, const std::string& here) {
    fmt::print("  {:<30} {:<34} {}\n", what, report, here);
  }
  void check(const std::string& what, const std::string& report, const std::string& here, bool holds) {
    row(what, report, here + (holds ? "  [ok]" : "  [FAILED]"));
    failed_ += !holds;
  }
  void check_if(bool checked, const std::string& what, const std::string& report, const std::string& here, bool holds) {
    if (checked) check(what, report, here, holds);
    else row(what, report, here);
  }
  int failed() const { return failed_; }

 private:
  int failed_ = 0;
};

/// Same weights, read back from the newest checkpoint.
bool checkpoint_is_exact(const RunResult& run, const fs::path& out) {
  TrainingState read = load_training_state(newest_checkpoint(out).value(), run.options, run.text.fingerprint());
  TrainingState kept = run.state;
  const auto a = tensors_of(read.weights), b = tensors_of(kept.weights);
  for (std::size_t i = 0; i < a.size(); ++i)
    if (*a[i].value != *b[i].value) return false;
  return true;
}

/// OUT/tour.svg: the loss, and the load of the experts with and without the bias update over the same first steps.
void draw(const RunResult& run, const fs::path& out) {
  const std::vector<LogEntry> log = read_log((out / "log.jsonl").string());
  const std::vector<LogEntry> without = read_log((out / comparison_folder / "log.jsonl").string());
  const std::vector<LogEntry> beginning(log.begin(), log.begin() + std::ssize(without));
  write_file(out / "tour.svg",
             plot::svg({loss_chart(log), load_map(beginning, run.config.D, "Expert load with the bias update"),
                        load_map(without, run.config.D, "Expert load without it")},
                       370, 290));
}

std::string sample_text(const Inference& model, const RunResult& run, const std::string& prompt, std::uint64_t seed) {
  const std::vector<Token> written =
      generate(model, run.text.tokenizer.encode(prompt), 80, run.text.tokenizer.added(end_token),
               {.temperature = 0.7, .seed = seed, .num_tokens = run.text.tokenizer.vocab_size()});
  return prompt + run.text.tokenizer.decode(written, true);
}

void print_sizes(Table& table, const RunResult& run) {
  const ParameterCounts ours = count_parameters(run.config), v3 = count_parameters(config_by_name("v3"));
  table.row(
      "parameters",
      fmt::format("{:.0f}B, {:.0f}B active", static_cast<double>(v3.total) / 1e9, static_cast<double>(v3.active) / 1e9),
      fmt::format("{:.2f}M, {:.2f}M active", static_cast<double>(ours.total) / 1e6,
                  static_cast<double>(ours.active) / 1e6));
  table.row("routed experts per token", "8 of 256, from 4 of 8 groups",
            fmt::format("{} of {}, from {} of {} groups", run.config.moe.gate.K_r, run.config.moe.gate.N_r,
                        run.config.moe.gate.kept_groups, run.config.moe.gate.num_groups));
  table.row("latent cache per token, BF16", fmt::format("{} bytes", cache_bytes_per_token(config_by_name("v3"))),
            fmt::format("{} bytes", cache_bytes_per_token(run.config)));
}

/// What the words and numbers of the table mean.
void print_meanings(const Batch& held_out, Index first_step, Index last_step, const Fp8BesideBf16& fp8) {
  fmt::print(
      "\n  loss       mean of -ln P(next token), in nats, over {} held-out sequences; perplexity is e to that power\n"
      "  MaxVio     load of the busiest expert over the mean load, minus 1 (0: all experts are equally busy);\n"
      "             mean over the MoE layers and over steps {} to {} of both runs\n"
      "  FP8 loss   configuration tiny trained twice for {} steps from the same weights on the same text: relative\n"
      "             difference of the smoothed training losses, mean over the last {} steps\n"
      "  MTP draft  how often MTP module 1, asked for the token after the next, names the one that the main model\n"
      "             itself finds most probable there (greedy), on held-out text\n",
      held_out.count, first_step, last_step, fp8.steps, fp8.last);
}

void check_memory(Table& table, const MemoryReport& memory) {
  if (memory.measured == 0) return;  // the system does not say
  const double measured = static_cast<double>(memory.measured), predicted = static_cast<double>(memory.predicted());
  table.check("peak memory of a step", "",
              fmt::format("{:.1f} MB, predicted {:.1f} MB", measured / 1e6, predicted / 1e6),
              std::abs(measured - predicted) < 0.15 * measured);
}

/// What is kept of a tour that was interrupted.
int stopped(const fs::path& out, Index step, Index steps) {
  if (step == 0) fmt::print(stderr, "stopped before the first step; a new tour begins again\n");
  else if (step < steps)
    fmt::print(stderr,
               "stopped and saved after step {0} of {1}; go on without the tour's table: {2} train --resume --out {3}; "
               "a new tour begins again\n",
               step, steps, program_name(), out.string());
  else
    fmt::print(stderr,
               "stopped; the trained model is kept: {0} generate --model {1} --prompt 'In the beginning'; a new tour "
               "begins again\n",
               program_name(), out.string());
  return Interrupt::status;
}

/// The table of what the report says and what was measured here. Returns how many checks failed.
int compare(const RunResult& run, const RunSettings& settings, const fs::path& out, const std::vector<double>& max_vio,
            const std::vector<double>& max_vio_without, const Fp8BesideBf16& fp8) {
  const double bigram_loss = bigram_loss_of(run);
  const Inference model(run.config, source_of(run.state.weights));
  const std::size_t last = max_vio_without.size(), first = last - last / 2;
  const double balanced = mean(max_vio, first, last), unbalanced = mean(max_vio_without, first, last);

  Table table;
  print_sizes(table, run);
  table.row("tokens of training", "14.8T",
            fmt::format("{:.2f}M", static_cast<double>(run.state.sequences * settings.sequence_length) / 1e6));
  table.check("loss on held-out text", "",
              fmt::format("{:.3f} -> {:.3f} nats per token", run.loss_before, run.loss_after),
              run.loss_after < run.loss_before);
  const bool long_enough = settings.steps >= default_steps;  // what a shorter tour shows proves nothing
  table.check_if(long_enough, "perplexity, bigrams' beside it", "",
                 fmt::format("{:.1f}, bigrams {:.1f}", std::exp(run.loss_after), std::exp(bigram_loss)),
                 run.loss_after < bigram_loss);
  table.check_if(long_enough, "MaxVio with, without bias", "balanced without a loss term",
                 fmt::format("{:.2f} and {:.2f}", balanced, unbalanced), balanced < unbalanced);
  table.check_if(long_enough, "FP8 loss against BF16's", "below 0.25% apart",
                 fmt::format("{:.2f}% apart at {:.2f}", 100 * fp8.error, fp8.loss), fp8.error < 0.0025);
  table.row("MTP draft accepted", "85 to 90% of second tokens",
            fmt::format("{:.0f}% (greedy)", 100 * draft_acceptance(model, run.held_out)));
  const std::span prompt(run.held_out.tokens.data(), static_cast<std::size_t>(settings.sequence_length));
  const double absorbed = absorbed_difference(model, prompt);
  table.check("absorbed MLA = training form", "equal", fmt::format("within {:.1e} of the largest logit", absorbed),
              absorbed < 1e-4);
  table.check("checkpoint read back", "", "bit for bit", checkpoint_is_exact(run, out));
  check_memory(table, run.memory);
  print_meanings(run.held_out, static_cast<Index>(first) + 1, static_cast<Index>(last), fp8);
  return table.failed();
}

}  // namespace

int tour(const TourArguments& a) {
  require(!a.data.empty(), "tour", "--data is missing; it needs a text file or a folder of them");
  require(a.steps == 0 || a.steps >= 2 * comparison_share, "tour", "--steps is ", a.steps,
          "; it must be 0 (the default) or at least ", 2 * comparison_share);
  const fs::path out = a.out.empty() ? "runs/tour" : a.out;
  require_tour_folder(out);
  hold_out(load_documents(a.data));  // text that cannot be used is reported before an old tour is given up
  const Interrupt interrupt;         // from here on there is something to lose
  const RunLock lock(out);
  begin_tour_folder(lock);
  RunSettings settings{
      .config = "tour", .data = a.data, .steps = a.steps > 0 ? a.steps : default_steps, .seed = a.seed};
  settings.save_every = 0;

  fmt::print("1. A DeepSeek-V3 in miniature learns to read {}: {} steps\n\n", a.data, settings.steps);
  std::fflush(stdout);
  std::vector<double> max_vio, max_vio_without;
  const RunResult run = watched_run(settings, lock, "training", max_vio);
  if (run.state.step < settings.steps) return stopped(out, run.state.step, settings.steps);
  RunSettings without = settings;
  without.steps = std::max<Index>(1, settings.steps / comparison_share);
  without.bias_speed = 0;
  watched_run(without, RunLock(out / comparison_folder), "the same without bias update", max_vio_without);
  if (Interrupt::asked()) return stopped(out, run.state.step, settings.steps);

  const Fp8BesideBf16 fp8 = train_in_bf16_and_fp8(settings.data, settings.steps * fp8_tenths / 10, a.seed);
  if (Interrupt::asked()) return stopped(out, run.state.step, settings.steps);

  const int failed = compare(run, settings, out, max_vio, max_vio_without, fp8);
  draw(run, out);
  const std::string sample =
      sample_text(Inference(run.config, source_of(run.state.weights)), run, "And the LORD said", a.seed);
  if (Interrupt::asked()) return stopped(out, run.state.step, settings.steps);
  fmt::print("\n2. It writes\n\n{}\n", sample);
  fmt::print(
      "\n{0}: checkpoint, log.jsonl, tour.svg. Go on with: {1} generate --model {0} --prompt 'In the beginning'\n",
      out.string(), program_name());
  if (failed > 0) fmt::print("{} checks failed\n", failed);
  return failed > 0 ? 1 : 0;
}

}  // namespace dsv3::cli
