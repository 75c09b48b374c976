// SPDX-License-Identifier: MIT
#include "reference/training/run.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <new>

#include "reference/checkpoint/atomic_file.hpp"
#include "reference/checkpoint/hf_config.hpp"
#include "reference/core/bytes.hpp"
#include "reference/core/memory.hpp"
#include "reference/core/require.hpp"
#include "reference/core/threads.hpp"
#include "reference/data/tokenizer_json.hpp"
#include "reference/linear/gemm.hpp"
#include "reference/training/curves.hpp"
#include "reference/training/run_folder.hpp"

namespace dsv3 {

namespace fs = std::filesystem;

ModelConfig config_of(const RunSettings& settings) {
  const fs::path path = settings.config;
  const std::vector<std::string> names = config_names();
  const bool is_name = std::find(names.begin(), names.end(), settings.config) != names.end();
  require_world(is_name || path.extension() == ".json" || !fs::exists(path), settings.config,
                "is no configuration; a config.json or the name of one is needed");
  if (path.extension() != ".json") return config_by_name(settings.config);
  require_world(fs::is_regular_file(path), settings.config,
                "cannot be read; a config.json or a configuration's name is needed");
  std::ifstream in(path);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  require_world(in.good(), settings.config, "cannot be read");
  return parse_hf_config(text, settings.config).model;
}

void require_memory(const RunSettings& settings, const ModelConfig& config, MomentFormat moments,
                    const std::string& where) {
  const ParameterCounts counts = count_parameters(config);
  const MlaConfig& mla = config.mla;
  const Index kept = (config.L + config.D) * (2 * mla.d + mla.d_c_prime + mla.d_c + mla.n_h * mla.d_v);
  const double activations = static_cast<double>(settings.micro_batch) * static_cast<double>(settings.sequence_length) *
                             static_cast<double>(kept) * sizeof(real);
  const std::size_t each = 2 * sizeof(real) + 2 * (moments == MomentFormat::bf16 ? 2 : sizeof(real));
  const std::size_t needed = static_cast<std::size_t>(counts.total + counts.mtp) * each, there_is = physical_memory();
  require_world(there_is == 0 || needed < there_is, where, "weights, gradients and moments need ", needed / 1000000,
                " MB; this machine has ", there_is / 1000000, " MB");
  require_world(there_is == 0 || static_cast<double>(needed) + activations < static_cast<double>(there_is), where,
                "a micro-batch of ", settings.micro_batch, " sequences of ", settings.sequence_length,
                " tokens keeps at least ", std::llround(activations / 1e6), " MB; this machine has ",
                there_is / 1000000, " MB. Lower micro_batch: the gradients of all sequences of a step are added up");
}

namespace {

constexpr Index held_out_sequences = 128;  // enough that the mean moves by about a percent from one draw to another

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// How much more memory the steps need than the process had before, pages of files left out.
class MemoryMeter {
 public:
  MemoryMeter() {
    forget();
    const ResidentMemory now = resident_memory();
    before_ = now.now - now.files;
  }
  /// What was needed for anything but a step does not count; its memory goes back to the system.
  static void forget() { reset_peak_memory(); }
  void note_step() {
    const ResidentMemory now = resident_memory();
    const std::size_t peak = now.peak - std::min(now.peak, now.files);
    most_ = std::max(most_, peak - std::min(peak, before_));
  }
  std::size_t most() const { return most_; }

 private:
  std::size_t before_ = 0, most_ = 0;
};

/// The loop over the steps from state.step on.
class Run {
 public:
  Run(const RunSettings& settings, const fs::path& out, RunResult& run, const RunEvents& events,
      const BatchSource& batches, std::uint64_t fingerprint, MemoryMeter& meter)
      : settings_(settings),
        out_(out),
        run_(run),
        events_(events),
        batches_(batches),
        fingerprint_(fingerprint),
        meter_(meter),
        log_(out / "log.jsonl"),
        trainer_(run.options) {}

  void take_all_steps() {
    run_.first_step = run_.state.step;
    run_.loss_before = run_.loss_after = held_out_loss();
    MemoryMeter::forget();
    while (run_.state.step < settings_.steps && !stopped_) take_step();
    finish_memory();
    if (run_.state.step > 0) write_file(out_ / "curves.svg", curves_svg(read_log(out_ / "log.jsonl"), run_.config.D));
  }

 private:
  bool due(Index every) const {
    return run_.state.step == settings_.steps || (every > 0 && run_.state.step % every == 0);
  }
  /// Delayed scaling is for training: here the scales are those of the tensors themselves.
  double held_out_loss() const {
    return evaluate(trainer_.model(), run_.state.weights, run_.held_out, settings_.micro_batch, run_.options.precision);
  }

  void save() {
    log_.sync();  // a checkpoint's steps are in the log
    save_training_state(out_, run_.options, run_.state, fingerprint_, run_.text.ends());
  }

  void finish_memory() {
    MemoryReport& memory = run_.memory;
    memory.measured = meter_.most();
    memory.weights = memory.gradients = bytes_of_all(run_.state.weights);
    memory.moments = bytes(run_.state.optimizer);
    memory.threads = static_cast<std::size_t>(omp_get_max_threads()) *
                     multiply_stack_bytes(settings_.micro_batch * settings_.sequence_length);
  }

  void take_step() {
    const auto start = std::chrono::steady_clock::now();
    const StepReport report = trainer_.step(run_.state, batches_);
    meter_.note_step();
    run_.memory.activations = std::max(run_.memory.activations, report.loss.activation_bytes);
    run_.memory.temporary = std::max(run_.memory.temporary, report.loss.temporary_bytes);
    StepExtras extras{.held_out_loss = {}, .seconds = seconds_since(start), .held_out_before = {}};
    if (report.step == 1) extras.held_out_before = run_.loss_before;
    if (due(settings_.evaluate_every)) extras.held_out_loss = run_.loss_after = held_out_loss();
    log_.add(log_line(report, extras));
    if (due(settings_.save_every)) save();
    if (due(settings_.evaluate_every) || due(settings_.save_every)) MemoryMeter::forget();
    if (events_.step) events_.step(report, extras);
    stopped_ = events_.stop && events_.stop();
    if (stopped_ && !due(settings_.save_every)) save();
  }

  const RunSettings& settings_;
  const fs::path& out_;
  RunResult& run_;
  const RunEvents& events_;
  const BatchSource& batches_;
  std::uint64_t fingerprint_;
  MemoryMeter& meter_;
  LogFile log_;
  Trainer trainer_;
  bool stopped_ = events_.stop && events_.stop();
};

void tell(const RunEvents& events, const std::string& what) {
  if (events.note) events.note(what);
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

/// From the weights that `state_of` makes for a fingerprint of the text to the last step.
template <class StateOf>
void train(const RunSettings& settings, const fs::path& out, RunResult& run, const RunEvents& events,
           const StateOf& state_of) {
  const BatchSource batches = batches_of(run.text, settings.sequence_length, settings.seed);
  const std::uint64_t fingerprint = run.text.fingerprint();
  MemoryMeter meter;  // the text is there already; weights, gradients, moments and activations follow
  run.state = state_of(fingerprint);
  try {
    Run(settings, out, run, events, batches, fingerprint, meter).take_all_steps();
  } catch (const std::bad_alloc&) {
    throw std::runtime_error(concat("train: no memory is left for a micro-batch of ", settings.micro_batch,
                                    " sequences of ", settings.sequence_length, " tokens; lower micro_batch"));
  }
}

}  // namespace

RunResult start_run(const RunSettings& as_given, const RunLock& lock, const RunEvents& events) {
  const RunSettings settings = with_absolute_paths(as_given);
  const fs::path& out = lock.folder();
  const ModelConfig config = config_of(settings);
  require_memory(settings, config, options_of(settings, config).adamw.moments,
                 "train");  // what cannot be is reported before any work
  require_world(!fs::exists(out / "run.json"), out.string(),
                "holds a run already; go on with --resume or choose another folder");
  const Corpus corpus = hold_out(load_documents(settings.data));
  tell(events, fmt::format("training a tokenizer of {} tokens on {} documents", config.V, corpus.training.size()));
  RunResult run = prepare(settings, text_with_new_tokenizer(corpus, static_cast<Token>(config.V)), config, events);
  try {
    train(settings, out, run, events, [&](std::uint64_t) {
      save_tokenizer(run.text.tokenizer, out / "tokenizer.json");
      write_file(out / "log.jsonl", "");
      write_settings(out / "run.json", settings);  // last: a folder with it can be resumed
      return initial_state(run.options);
    });
  } catch (...) {
    if (run.state.step == 0)
      for (const char* const name : {"run.json", "log.jsonl", "tokenizer.json"}) fs::remove(out / name);
    throw;
  }
  return run;
}

RunResult start_run(const RunSettings& settings, const fs::path& out, const RunEvents& events) {
  return start_run(settings, RunLock(out), events);
}

void require_run(const fs::path& out) {
  require_world(fs::exists(out / "run.json"), out.string(),
                "holds no run: there is no run.json; start one without --resume");
}

RunResult resume_run(const fs::path& out, const RunEvents& events) {
  require_run(out);  // before a folder is made for it
  const RunLock lock(out);
  const RunSettings settings = read_settings(out / "run.json");
  const Corpus corpus = hold_out(load_documents(settings.data));
  RunResult run = prepare(settings, text_with_tokenizer(corpus, load_tokenizer(out / "tokenizer.json")),
                          config_of(settings), events);
  const auto checkpoint = newest_checkpoint(out);
  tell(events, checkpoint ? "going on from " + checkpoint->string() : "no checkpoint yet; beginning again");
  train(settings, out, run, events, [&](std::uint64_t fingerprint) {
    TrainingState state =
        checkpoint ? load_training_state(*checkpoint, run.options, fingerprint) : initial_state(run.options);
    truncate_log((out / "log.jsonl").string(), state.step);
    return state;
  });
  return run;
}

}  // namespace dsv3
