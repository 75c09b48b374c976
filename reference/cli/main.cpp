// SPDX-License-Identifier: MIT
// The one file that knows CLI11: options in, plain structs out.
#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>

#include "reference/cli/commands.hpp"
#include "reference/core/memory.hpp"
#include "reference/core/require.hpp"

namespace {

using namespace dsv3::cli;

/// A subcommand whose last lines of --help are an example.
CLI::App* command(CLI::App& app, const char* name, const char* what, const char* example) {
  CLI::App* const sub = app.add_subcommand(name, what);
  sub->footer(std::string("Example:\n  ") + example);
  return sub;
}

void add_train(CLI::App& app, int& status) {
  const auto a = std::make_shared<TrainArguments>();
  auto* const c = command(app, "train", "Train a model on text",
                          "dsv3 train --config tour --data build/data --steps 300 --out runs/first\n"
                          "  dsv3 train --resume --out runs/first");
  dsv3::RunSettings& s = a->settings;
  c->add_option("--out", a->out, "Folder of the run: settings, tokenizer, log, checkpoints, curves.svg")->required();
  auto* const resume =
      c->add_flag("--resume", a->resume, "Go on where the newest checkpoint of --out stands, with its settings");
  const auto setting = [&](const char* name, auto& value, const char* what) {
    return c->add_option(name, value, what)->capture_default_str()->excludes(resume);
  };
  c->add_option("--data", s.data,
                "A text file or a folder of text files (UTF-8); a resumed run reads what it began with")
      ->envname("DSV3_DATA");
  setting("--config", s.config, "A configuration's name (see dsv3 model) or a config.json");
  setting("--steps", s.steps, "Steps of the whole run");
  setting("--sequences", s.sequences, "Sequences per step");
  setting("--length", s.sequence_length, "Tokens per sequence");
  setting("--micro-batch", s.micro_batch, "Sequences in memory at once; gradients add up over them");
  setting("--precision", s.precision, "fp32, or bf16: what Linear operators read and write");
  setting("--moments", s.moments, "fp32 or bf16: AdamW's two moments");
  setting("--learning-rate", s.learning_rate, "Peak of the schedule");
  setting("--bias-speed", s.bias_speed, "Gamma of the auxiliary-loss-free balancing; 0 switches it off");
  setting("--balance-alpha", s.balance_alpha, "Alpha of the balance loss; 0 switches it off");
  setting("--balance-scope", s.balance_scope, "sequence or batch: over what the balance loss counts");
  setting("--seed", s.seed, "Of the weights and of the order of the data")->check(CLI::NonNegativeNumber);
  setting("--evaluate-every", s.evaluate_every, "Steps between looks at held-out text; 0: only at the end");
  setting("--save-every", s.save_every, "Steps between checkpoints; 0: only at the end");
  c->add_flag("--json", a->json, "Print the log's lines instead of a progress bar");
  c->callback([a, &status] { status = train(*a); });
}

void add_tour(CLI::App& app, int& status) {
  const auto a = std::make_shared<TourArguments>();
  auto* const c = command(app, "tour", "Train the small V3 on real prose, check the report's claims on it, write text",
                          "dsv3 tour\n  dsv3 tour --data my_texts --out runs/mine");
  c->add_option("--data", a->data, "A text file or a folder of text files; default: the text the launcher installs")
      ->envname("DSV3_DATA");
  c->add_option("--out", a->out, "Folder of the run (default: runs/tour); an old tour there is replaced");
  c->add_option("--steps", a->steps, "Steps of the main run; 0: about three minutes on two cores")
      ->capture_default_str();
  c->add_option("--seed", a->seed, "Of everything")->capture_default_str()->check(CLI::NonNegativeNumber);
  c->callback([a, &status] { status = tour(*a); });
}

void add_generate(CLI::App& app, int& status) {
  const auto a = std::make_shared<GenerateArguments>();
  auto* const c = command(app, "generate", "Write on from a prompt",
                          "dsv3 generate --model runs/tour --prompt 'In the beginning' --max-new 60 --temperature 0.8");
  c->add_option("--model", a->model, "A Hugging Face folder, a checkpoint, or a run (its newest checkpoint)")
      ->required();
  c->add_option("--prompt", a->prompt, "Text to begin with")->required();
  c->add_option("--max-new", a->max_new, "Tokens to write")->capture_default_str();
  c->add_option("--temperature", a->temperature, "0: always the most probable token")->capture_default_str();
  c->add_option("--seed", a->seed, "Of the draws")->capture_default_str()->check(CLI::NonNegativeNumber);
  c->add_flag("--json", a->json, "Print tokens and text as one JSON object");
  c->callback([a, &status] { status = generate(*a); });
}

void add_forward(CLI::App& app, int& status) {
  const auto a = std::make_shared<ForwardArguments>();
  auto* const c =
      command(app, "forward", "Logits of given tokens, layer by layer from a checkpoint of any size",
              "dsv3 forward --model DIR --tokens tokens.safetensors --out logits.safetensors --activations");
  c->add_option("--model", a->model, "A Hugging Face DeepSeek folder: config.json and safetensors")->required();
  c->add_option("--tokens", a->tokens, "safetensors file with one integer tensor 'tokens' [T]")->required();
  c->add_option("--out", a->out,
                "safetensors file to write: logits [T, V], mtp_logits [T-1, V] where there is a module")
      ->required();
  c->add_flag("--activations", a->activations, "Write every layer's intermediate tensors as well");
  c->add_option("--precision", a->precision, "fp32 or bf16")->capture_default_str();
  c->add_flag("--json", a->json, "Print a summary as JSON");
  c->callback([a, &status] { status = forward(*a); });
}

void add_model(CLI::App& app, int& status) {
  const auto a = std::make_shared<ModelArguments>();
  auto* const c = command(app, "model", "Sizes of a configuration, counted from its structure", "dsv3 model v3");
  c->add_option("name", a->name, "A configuration's name, a config.json or its folder; none: list the names");
  c->add_flag("--json", a->json, "Print as JSON");
  c->callback([a, &status] { status = model(*a); });
}

void add_bench(CLI::App& app, int& status) {
  const auto a = std::make_shared<BenchArguments>();
  auto* const c = command(app, "bench", "Speed of this machine, of the parts and of whole training steps",
                          "dsv3 bench\n  dsv3 bench step --threads 2");
  c->add_option("name", a->name, "The row of this name, or those that begin so; none: all");
  c->add_option("--threads", a->threads, "1: times what the thread itself spends; more: the wall clock")
      ->capture_default_str();
  c->add_option("--rounds", a->rounds, "Measurements of each row, each beside one of the machine's ceiling")
      ->capture_default_str();
  c->add_flag("--json", a->json, "Print one JSON object for each row");
  c->callback([a, &status] { status = bench(*a); });
}

/// CLI11 would only say that a command is required.
void require_known_command(const CLI::App& app, const char* name) {
  std::string known;
  for (const CLI::App* const c : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (c->get_name() == name) return;
    known += (known.empty() ? "" : ", ") + c->get_name();
  }
  if (name[0] != '-') throw std::invalid_argument(dsv3::concat("there is no command '", name, "'; there are ", known));
}

}  // namespace

int main(int argc, char** argv) {
  dsv3::keep_freed_memory();
  CLI::App app("dsv3: the DeepSeek-V3 Technical Report made executable");
  app.require_subcommand(1);
  app.set_version_flag("--version", DSV3_VERSION);
  int status = 0;
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes is then an error of write(), as a full disk is
  for (const auto add : {add_tour, add_train, add_generate, add_forward, add_model, add_bench}) add(app, status);
  try {
    if (argc > 1) require_known_command(app, argv[1]);
    app.parse(argc, argv);
    const bool written = std::fflush(stdout) == 0;
    dsv3::require_world(written, "stdout", "cannot be written: ", std::strerror(errno));
    return status;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::exception& error) {
    std::fflush(stdout);
    std::cerr << "dsv3: " << error.what() << '\n';
    return 2;
  }
}
