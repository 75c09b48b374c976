// SPDX-License-Identifier: MIT
#include "reference/cli/options.hpp"

#include <omp.h>

#include <charconv>
#include <cstdlib>
#include <limits>
#include <regex>

#include "reference/cli/commands.hpp"
#include "reference/cli/number_option.hpp"
#include "reference/cli/program.hpp"
#include "reference/core/require.hpp"

namespace dsv3::cli {

/// A subcommand whose last lines of --help are an example.
CLI::App* command(CLI::App& app, const char* name, const char* what, const char* example) {
  CLI::App* const sub = app.add_subcommand(name, what);
  const std::string text = example;  // each of its lines is a command
  sub->footer("Example:\n  " + program_name() + " " +
              std::regex_replace(text, std::regex("\n"), "\n  " + program_name() + " "));
  return sub;
}

namespace {

constexpr double positive = std::numeric_limits<double>::min();

void add_threads(CLI::App* c, Index& threads) {
  number<Index>(c, "--threads", threads, 1, "How many; the results have the same bits with any number", 1024)
      ->default_str("as many as there are cores, or OMP_NUM_THREADS");
}

void use_threads(Index threads) {
  if (threads > 0) omp_set_num_threads(static_cast<int>(threads));
}

/// --data, or what the launcher has installed.
void add_data(CLI::App* c, std::string& data, const char* what) {
  c->add_option("--data", data, what)->default_str("the text that the launcher installs, DSV3_DATA");
}

void use_installed_data(const CLI::App& c, std::string& data) {
  const char* const installed = std::getenv("DSV3_DATA");
  if (c.count("--data") == 0 && installed != nullptr) data = installed;
}

/// The names of the options that were given.
std::set<std::string> given_options(const CLI::App& c) {
  std::set<std::string> names;
  for (const CLI::Option* const option : c.get_options())
    if (option->count() > 0) names.insert(option->get_name());
  return names;
}

void add_train(CLI::App& app, int& status) {
  const auto a = std::make_shared<TrainArguments>();
  auto* const c = command(app, "train", "Train a model on text",
                          "train --config tour --data build/data --steps 300 --out runs/first\n"
                          "train --resume --out runs/first");
  dsv3::RunSettings& s = a->settings;
  c->add_option("--out", a->out, "Folder of the run: settings, tokenizer, log, checkpoints, curves.svg")->required();
  c->add_flag("--resume", a->resume,
              "Go on where the newest checkpoint of --out stands. The settings are those the run began with; only "
              "--threads and --json may differ");
  add_data(c, s.data, "A text file or a folder of text files (UTF-8)");
  const auto choice = [&](const char* name, std::string& value, const char* what) {
    c->add_option(name, value, what)->capture_default_str();
  };
  choice("--config", s.config, "A configuration's name (see dsv3 model) or a config.json");
  number<Index>(c, "--steps", s.steps, 1, "Steps of the whole run");
  number<Index>(c, "--sequences", s.sequences, 1, "Sequences per step");
  number<Index>(c, "--length", s.sequence_length, 1, "Tokens per sequence");
  number<Index>(c, "--micro-batch", s.micro_batch, 1, "Sequences in memory at once; gradients add up over them");
  choice("--precision", s.precision,
         "fp32, bf16 or fp8: what Linear operators read and write; or a recipe of the fp8 command, as fp8:delayed");
  choice("--device", s.device, "cpu or cuda: where products in FP8 are computed; the rest is this CPU's");
  choice("--moments", s.moments, "fp32 or bf16: AdamW's two moments");
  number(c, "--learning-rate", s.learning_rate, positive, "Peak of the schedule");
  number(c, "--bias-speed", s.bias_speed, 0.0, "Gamma of the auxiliary-loss-free balancing; 0 switches it off");
  number(c, "--balance-alpha", s.balance_alpha, 0.0, "Alpha of the balance loss; 0 switches it off");
  choice("--balance-scope", s.balance_scope, "sequence or batch: over what the balance loss counts");
  number<std::uint64_t>(c, "--seed", s.seed, 0, "Of the weights and of the order of the data");
  number<Index>(c, "--evaluate-every", s.evaluate_every, 0, "Steps between looks at held-out text; 0: only at the end");
  number<Index>(c, "--save-every", s.save_every, 0, "Steps between checkpoints; 0: only at the end");
  add_threads(c, a->threads);
  c->add_flag("--json", a->json, "Print the log's lines instead of a progress bar");
  c->callback([a, c, &status] {
    a->given = given_options(*c);
    use_installed_data(*c, a->settings.data);
    use_threads(a->threads);
    status = train(*a);
  });
}

void add_tour(CLI::App& app, int& status) {
  const auto a = std::make_shared<TourArguments>();
  auto* const c = command(app, "tour", "Train the small V3 on real prose, check the report's claims on it, write text",
                          "tour\ntour --data my_texts --out runs/mine");
  add_data(c, a->data, "A text file or a folder of text files (UTF-8)");
  c->add_option("--out", a->out, "Folder of the run (default: runs/tour); an old tour there is replaced");
  number<Index>(c, "--steps", a->steps, 0, "Steps of the main run; 0: about three minutes on two cores");
  number<std::uint64_t>(c, "--seed", a->seed, 0, "Of everything");
  add_threads(c, a->threads);
  c->callback([a, c, &status] {
    use_installed_data(*c, a->data);
    use_threads(a->threads);
    status = tour(*a);
  });
}

void add_generate(CLI::App& app, int& status) {
  const auto a = std::make_shared<GenerateArguments>();
  auto* const c = command(app, "generate", "Write on from a prompt",
                          "generate --model runs/tour --prompt 'In the beginning' --max-new 60 --temperature 0.8");
  c->add_option("--model", a->model, "A Hugging Face folder, a checkpoint, or a run (its newest checkpoint)")
      ->required();
  c->add_option("--prompt", a->prompt, "Text to begin with")->required();
  number<Index>(c, "--max-new", a->max_new, 0, "Tokens to write, at most as many as the model has positions for");
  number(c, "--temperature", a->temperature, 0.0, "0: always the most probable token");
  number<std::uint64_t>(c, "--seed", a->seed, 0, "Of the draws");
  c->add_flag("--json", a->json, "Print tokens and text as one JSON object");
  c->callback([a, &status] { status = generate(*a); });
}

void add_forward(CLI::App& app, int& status) {
  const auto a = std::make_shared<ForwardArguments>();
  auto* const c = command(app, "forward", "Logits of given tokens, layer by layer from a checkpoint of any size",
                          "forward --model DIR --tokens tokens.safetensors --out logits.safetensors --activations");
  c->add_option("--model", a->model, "A Hugging Face DeepSeek folder: config.json and safetensors")->required();
  c->add_option("--tokens", a->tokens, "safetensors file with one integer tensor 'tokens' [T]")->required();
  c->add_option("--out", a->out,
                "safetensors file to write: logits [T, V], mtp_logits [T-1, V] where there is a module")
      ->required();
  c->add_flag("--activations", a->activations, "Write every layer's intermediate tensors as well");
  c->add_option("--precision", a->precision, "fp32, bf16 or fp8: what Linear operators read and write")
      ->capture_default_str();
  c->add_option("--device", a->device, "cpu or cuda: where products in FP8 are computed; the rest is this CPU's")
      ->capture_default_str();
  c->add_flag("--json", a->json, "Print a summary as JSON");
  c->callback([a, &status] { status = forward(*a); });
}

void add_model(CLI::App& app, int& status) {
  const auto a = std::make_shared<ModelArguments>();
  auto* const c = command(app, "model", "Sizes of a configuration, counted from its structure", "model v3");
  c->add_option("name", a->name, "A configuration's name, a config.json or its folder; none: list the names");
  c->add_flag("--json", a->json, "Print as JSON");
  c->callback([a, &status] { status = model(*a); });
}

/// `dsv3 fp8 depth`. Returns it.
CLI::App* add_fp8_depth(CLI::App& fp8, int& status) {
  const auto a = std::make_shared<Fp8DepthArguments>();
  auto* const c = command(fp8, "depth", "Error of tensor-core sums against their depth K, with promotion and without",
                          "fp8 depth --out runs/fp8");
  c->add_option("--out", a->out, "Folder for depth.json and depth.svg")->capture_default_str();
  number<Index>(c, "--outputs", a->outputs, 1, "The square of it is the number of sums of each depth", 1024);
  number<std::uint64_t>(c, "--seed", a->seed, 0, "Of the factors");
  add_threads(c, a->threads);
  c->add_flag("--json", a->json, "Print depth.json instead of a table");
  c->callback([a, &status] {
    use_threads(a->threads);
    status = fp8_depth(*a);
  });
  return c;
}

/// `dsv3 fp8 gradients`. Returns it.
CLI::App* add_fp8_gradients(CLI::App& fp8, int& status) {
  const auto a = std::make_shared<Fp8GradientsArguments>();
  a->settings.config = "tiny", a->settings.steps = 200;
  auto* const c = command(fp8, "gradients", "Error of one step's gradients in each recipe, after training in BF16",
                          "fp8 gradients --steps 100");
  add_data(c, a->settings.data, "A text file or a folder of text files (UTF-8)");
  c->add_option("--config", a->settings.config, "A configuration's name (see dsv3 model) or a config.json")
      ->capture_default_str();
  number<Index>(c, "--steps", a->settings.steps, 1, "Steps in BF16 before gradients are compared");
  number<Index>(c, "--batches", a->batches, 1, "Batches to compare them on", 1024);
  number<std::uint64_t>(c, "--seed", a->settings.seed, 0, "Of the weights and of the order of the data");
  add_threads(c, a->threads);
  c->add_flag("--json", a->json, "Print one JSON object instead of a table");
  c->callback([a, c, &status] {
    use_installed_data(*c, a->settings.data);
    use_threads(a->threads);
    status = fp8_gradients(*a);
  });
  return c;
}

void add_fp8(CLI::App& app, int& status) {
  const auto a = std::make_shared<Fp8Arguments>();
  a->settings.config = "tiny", a->settings.steps = 1000, a->settings.moments = "bf16", a->out = "runs/fp8";
  a->settings.learning_rate = 2e-3;  // above it roundings alone drive two runs apart: see docs/fp8.md
  auto* const c = command(app, "fp8", "Train in BF16 and in FP8 recipes on the same text and compare the losses",
                          "fp8 --variants fp8 --steps 200\nfp8 --resume --variants delayed hybrid\n"
                          "fp8 --config tour --seeds 1 --out runs/fp8_tour");
  add_data(c, a->settings.data, "A text file or a folder of text files (UTF-8)");
  c->add_option("--config", a->settings.config, "A configuration's name (see dsv3 model) or a config.json")
      ->capture_default_str();
  c->add_option("--variants", a->variants,
                "Some of fp32, fp8, hopper, narrow, no_promotion, per_tensor, delayed, "
                "gradient_blocks, hybrid")
      ->default_str("all");
  number<Index>(c, "--steps", a->settings.steps, 2, "Steps of every run");
  number<Index>(c, "--sequences", a->settings.sequences, 1, "Sequences per step");
  number(c, "--learning-rate", a->settings.learning_rate, positive, "Peak of the schedule");
  number<Index>(c, "--seeds", a->seeds, 1, "Runs of each variant, each with its own weights and order of the text",
                1024);
  number<std::uint64_t>(c, "--seed", a->settings.seed, 0, "The first of them");
  c->add_option("--out", a->out, "Folder for fp8.json and fp8.svg; without --resume an old comparison is replaced")
      ->capture_default_str();
  c->add_flag(
      "--resume", a->resume,
      "Add to the comparison in --out: runs that are finished there are not run again. The settings are those it "
      "began with; only --variants, --seeds, --seed, --threads and --json may differ");
  add_threads(c, a->threads);
  c->add_flag("--json", a->json, "Print fp8.json instead of a table");
  const CLI::App *const depth = add_fp8_depth(*c, status), *const gradients = add_fp8_gradients(*c, status);
  c->callback([a, c, depth, gradients, &status] {
    if (depth->parsed() || gradients->parsed()) return;
    a->given = given_options(*c);
    use_installed_data(*c, a->settings.data);
    use_threads(a->threads);
    status = fp8(*a);
  });
}

void add_bench(CLI::App& app, int& status) {
  const auto a = std::make_shared<BenchArguments>();
  auto* const c = command(app, "bench", "Speed of this machine, of the parts and of whole training steps",
                          "bench\nbench step --threads 2\nbench encode --peers build/peers/bin/python");
  c->add_option("name", a->name, "The row of this name, or those that begin so; none: all");
  number<Index>(c, "--threads", a->threads, 1, "1: times what the thread itself spends; more: the wall clock", 1024);
  number<Index>(c, "--rounds", a->rounds, 1, "Measurements of each row, each beside one of the machine's ceiling");
  c->add_option("--peers", a->peers,
                "A Python with NumPy and ml_dtypes: rows that have a peer there are measured in turn with it")
      ->envname("DSV3_PEERS");
  c->add_flag("--json", a->json, "Print one JSON object for each row");
  c->callback([a, &status] { status = bench(*a); });
}

}  // namespace

void add_commands(CLI::App& app, int& status) {
  for (const auto add : {add_tour, add_train, add_generate, add_forward, add_model, add_fp8, add_oracle, add_bench})
    add(app, status);
}

}  // namespace dsv3::cli
