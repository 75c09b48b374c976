// SPDX-License-Identifier: MIT
#include <memory>

#include "reference/cli/commands.hpp"
#include "reference/cli/number_option.hpp"
#include "reference/cli/options.hpp"

namespace dsv3::cli {
namespace {

using Arguments = std::shared_ptr<OracleArguments>;

CLI::App* subcommand(CLI::App& oracle, const Arguments& a, const char* name, const char* what, const char* example,
                     int (*act)(const OracleArguments&), int& status) {
  auto* const c = command(oracle, name, what, example);
  c->add_flag("--json", a->json, "Print JSON");
  c->callback([a, act, &status] { status = act(*a); });
  return c;
}

void add_op(CLI::App& c, const Arguments& a) { c.add_option("op", a->op, "Its name: dsv3 oracle list")->required(); }

void add_case(CLI::App& c, const Arguments& a) {
  c.add_option("case", a->case_file,
               "safetensors file with the inputs, from gen or from anywhere; - for standard input")
      ->required();
  c.add_option("--set", a->set, "NAME=VALUE of an attribute, in place of the file's");
}

}  // namespace

void add_oracle(CLI::App& app, int& status) {
  const Arguments a = std::make_shared<OracleArguments>();
  auto* const o = command(app, "oracle", "Checks another implementation of an op against the reference",
                          "oracle gen fp8_fprop --kind ragged --out case.safetensors\n"
                          "oracle check fp8_fprop case.safetensors mine.safetensors");
  o->require_subcommand(1);
  subcommand(*o, a, "list", "All ops, each with its equation", "oracle list", oracle_list, status);
  add_op(*subcommand(*o, a, "describe", "Inputs, outputs, attributes, numerics contract and kinds of cases of an op",
                     "oracle describe quantise", oracle_describe, status),
         a);

  auto* const gen = subcommand(*o, a, "gen", "Writes a case: inputs drawn from a seed",
                               "oracle gen fp8_fprop --kind ragged --set K=1000 --out case.safetensors\n"
                               "oracle gen --all --out pack",
                               oracle_gen, status);
  gen->add_option("op", a->op, "Its name: dsv3 oracle list; with --all it may be left out");
  gen->add_flag("--all", a->all, "Every kind of case of the op, or of all, with outputs and bounds: a golden pack");
  gen->add_option("--kind", a->kind, "Of case, see describe (default: the ordinary one)");
  number<std::uint64_t>(gen, "--seed", a->seed, 0, "Of the draws; the same bytes on every machine");
  gen->add_option("--set", a->set, "NAME=VALUE of a size or an attribute, see describe");
  gen->add_option("--out,-o", a->out, "safetensors file to write, - for standard output; with --all the folder")
      ->required();

  auto* const run = subcommand(*o, a, "run", "Writes the reference's outputs for a case",
                               "oracle run fp8_fprop case.safetensors --out ours.safetensors", oracle_run, status);
  add_op(*run, a);
  add_case(*run, a);
  run->add_option("--out,-o", a->out, "safetensors file to write, - for standard output")->required();

  const auto add_judged = [&](const char* name, const char* what, const char* example,
                              int (*act)(const OracleArguments&)) {
    auto* const c = subcommand(*o, a, name, what, example, act, status);
    add_op(*c, a);
    add_case(*c, a);
    c->add_option("theirs", a->theirs, "safetensors file with the outputs to be judged; - for standard input")
        ->required();
  };
  add_judged("check", "Judges outputs: equal bit for bit, within the derived bound, outside",
             "oracle check fp8_fprop case.safetensors mine.safetensors", oracle_check);
  add_judged("find", "Tells which of the conventions in use, alone or two together, gives these outputs",
             "oracle find quantise case.safetensors mine.safetensors", oracle_find);
}

}  // namespace dsv3::cli
