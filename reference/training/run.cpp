// SPDX-License-Identifier: MIT
#include "reference/training/run.hpp"

#include <fmt/format.h>

#include <chrono>
#include <fstream>

#include "reference/checkpoint/atomic_file.hpp"
#include "reference/checkpoint/hf_config.hpp"
#include "reference/core/bytes.hpp"
#include "reference/core/memory.hpp"
#include "reference/core/require.hpp"
#include "reference/data/tokenizer_json.hpp"
#include "reference/training/curves.hpp"
#include "reference/training/run_folder.hpp"

namespace dsv3 {

namespace fs = std::filesystem;

ModelConfig config_of(const RunSettings& settings) {
  const fs::path path = settings.config;
  if (path.extension() != ".json") return config_by_name(settings.config);
  std::ifstream in(path);
  require_world(in.good(), settings.config, "cannot be read");
  return parse_hf_config(std::string(std::istreambuf_iterator<char>(in), {}), settings.config).model;
}

namespace {

constexpr Index held_out_sequences = 128;  // enough that the mean moves by about a percent from one draw to another

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void append_line(const fs::path& path, const std::string& line) {
  std::ofstream out(path, std::ios::app);
  out << line << '\n' << std::flush;
  require_world(out.good(), path.string(), "cannot be written; is the disk full?");
}

/// Bytes in use, from where the peak counts anew.
std::size_t begin_to_measure_memory() {
  reset_peak_memory();
  return resident_memory().now;
}

/// The loop over the steps from state.step on.
class Run {
 public:
  /// To be made before the state: the memory of the steps is measured from here on, above what the text takes.
  Run(const RunSettings& settings, const fs::path& out, RunResult& run, const RunEvents& events)
      : settings_(settings),
        out_(out),
        run_(run),
        events_(events),
        batches_(batches_of(run.text, settings.sequence_length, settings.seed)),
        fingerprint_(run.text.fingerprint()),
        memory_before_(begin_to_measure_memory()),
        trainer_(run.options) {}

  void take_all_steps() {
    run_.first_step = run_.state.step;
    run_.loss_before = run_.loss_after = held_out_loss();
    while (run_.state.step < settings_.steps && !stopped_) take_step();
    finish_memory();
    write_file(out_ / "curves.svg", curves_svg(read_log((out_ / "log.jsonl").string()), run_.config.D));
  }

 private:
  bool due(Index every) const {
    return run_.state.step == settings_.steps || (every > 0 && run_.state.step % every == 0);
  }
  double held_out_loss() const {
    return evaluate(trainer_.model(), run_.state.weights, run_.held_out, settings_.micro_batch, run_.options.precision);
  }

  void save() const { save_training_state(out_, run_.options, run_.state, fingerprint_); }

  void finish_memory() {
    MemoryReport& memory = run_.memory;
    const ResidentMemory now = resident_memory();
    memory.measured = now.peak > memory_before_ ? now.peak - memory_before_ : 0;
    memory.weights = memory.gradients = bytes_of_all(run_.state.weights);
    memory.moments = bytes(run_.state.optimizer);
  }

  void take_step() {
    const auto start = std::chrono::steady_clock::now();
    const StepReport report = trainer_.step(run_.state, batches_);
    run_.memory.activations = std::max(run_.memory.activations, report.loss.activation_bytes);
    run_.memory.temporary = std::max(run_.memory.temporary, report.loss.temporary_bytes);
    StepExtras extras{.held_out_loss = {}, .seconds = seconds_since(start)};
    if (due(settings_.evaluate_every)) extras.held_out_loss = run_.loss_after = held_out_loss();
    append_line(out_ / "log.jsonl", log_line(report, extras));
    if (due(settings_.save_every)) save();
    if (events_.step) events_.step(report, extras);
    stopped_ = events_.stop && events_.stop();
    if (stopped_ && !due(settings_.save_every)) save();
  }

  const RunSettings& settings_;
  const fs::path& out_;
  RunResult& run_;
  const RunEvents& events_;
  BatchSource batches_;
  std::uint64_t fingerprint_;
  std::size_t memory_before_;
  Trainer trainer_;
  bool stopped_ = false;
};

void tell(const RunEvents& events, const std::string& what) {
  if (events.note) events.note(what);
}

/// Weights, gradients and two moments must fit, whatever else is needed.
void require_memory(const ModelConfig& config, MomentFormat moments) {
  const ParameterCounts counts = count_parameters(config);
  const std::size_t each = 2 * sizeof(real) + 2 * (moments == MomentFormat::bf16 ? 2 : sizeof(real));
  const std::size_t needed = static_cast<std::size_t>(counts.total + counts.mtp) * each, there_is = physical_memory();
  require_world(there_is == 0 || needed < there_is, "train", "weights, gradients and moments need ", needed / 1000000,
                " MB; this machine has ", there_is / 1000000, " MB");
}

/// Everything but the state: what both ways of beginning share.
RunResult prepare(const RunSettings& settings, RunText text, ModelConfig config, const RunEvents& events) {
  require(text.tokenizer.vocab_size() <= config.V, "train", "the tokenizer has ", text.tokenizer.vocab_size(),
          " tokens; the configuration's vocabulary has room for ", config.V);
  RunResult run{.config = config,
                .options = options_of(settings, config),
                .text = std::move(text),
                .held_out = {},
                .state = {},
                .memory = {}};
  run.held_out = held_out_batch(run.text, settings.sequence_length, held_out_sequences);
  Index tokens = 0;
  for (const auto& document : run.text.training) tokens += std::ssize(document);
  const ParameterCounts counts = count_parameters(config);
  tell(events,
       fmt::format(
           "{} tokens of training text in {} documents; {} parameters, {} active per token, {} more in MTP modules",
           tokens, run.text.training.size(), counts.total, counts.active, counts.mtp));
  return run;
}

}  // namespace

RunResult start_run(const RunSettings& settings, const fs::path& out, const RunEvents& events) {
  const ModelConfig config = config_of(settings);
  require_memory(config, options_of(settings, config).adamw.moments);  // what cannot be is reported before any work
  require_world(!fs::exists(out / "run.json"), out.string(),
                "holds a run already; go on with --resume or choose another folder");
  const Corpus corpus = hold_out(load_documents(settings.data));
  tell(events, fmt::format("training a tokenizer of {} tokens on {} documents", config.V, corpus.training.size()));
  RunResult run = prepare(settings, text_with_new_tokenizer(corpus, static_cast<Token>(config.V)), config, events);
  Run loop(settings, out, run, events);
  run.state = initial_state(run.options);
  fs::create_directories(out);
  save_tokenizer(run.text.tokenizer, out / "tokenizer.json");
  write_settings(out / "run.json", settings);  // last: a folder with it can be resumed
  write_file(out / "log.jsonl", "");
  loop.take_all_steps();
  return run;
}

RunResult resume_run(const fs::path& out, const RunEvents& events) {
  require_world(fs::exists(out / "run.json"), out.string(),
                "holds no run: there is no run.json; start one without --resume");
  const RunSettings settings = read_settings(out / "run.json");
  const Corpus corpus = hold_out(load_documents(settings.data));
  RunResult run = prepare(settings, text_with_tokenizer(corpus, load_tokenizer(out / "tokenizer.json")),
                          config_of(settings), events);
  Run loop(settings, out, run, events);
  const auto checkpoint = newest_checkpoint(out);
  tell(events, checkpoint ? "going on from " + checkpoint->string() : "no checkpoint yet; beginning again");
  run.state =
      checkpoint ? load_training_state(*checkpoint, run.options, run.text.fingerprint()) : initial_state(run.options);
  truncate_log((out / "log.jsonl").string(), run.state.step);
  loop.take_all_steps();
  return run;
}

}  // namespace dsv3
