// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>

#include "reference/checkpoint/safetensors.hpp"
#include "reference/checkpoint/strict_json.hpp"
#include "reference/cli/commands.hpp"
#include "reference/cli/notice.hpp"
#include "reference/core/require.hpp"
#include "reference/oracle/case_file.hpp"
#include "reference/oracle/pack.hpp"
#include "reference/oracle/registry.hpp"
#include "reference/oracle/report.hpp"
#include "reference/oracle/settings.hpp"

namespace dsv3::cli {
namespace {

using namespace dsv3::oracle;

/// Of its attribute's type; of what is no attribute a number where it is one, else a text.
Attribute value_of(const Op& op, const std::string& name, const std::string& word) {
  const auto spec = std::ranges::find(op.attributes, name, &AttributeSpec::name);
  if (spec != op.attributes.end()) return attribute_from(word, *spec, "oracle " + op.name);
  return number_or_word(word);
}

/// What --set says.
Attributes given(const Op& op, const std::vector<std::string>& set) {
  Attributes all;
  for (const std::string& one : set) {
    const std::size_t equals = one.find('=');
    require(equals != std::string::npos && equals > 0, "--set", in_quotes(one), " is not NAME=VALUE");
    const std::string name = one.substr(0, equals);
    all[name] = value_of(op, name, one.substr(equals + 1));
  }
  return all;
}

/// A case of a file is as large as it is: --set says attributes only.
Case case_of(const Op& op, const OracleArguments& a) { return read_case(op, a.case_file, given(op, a.set)); }

void print_written(const OracleArguments& a, const Tensors& tensors) {
  if (a.json || a.out == standard_stream) return;
  fmt::print("{}:", a.out);
  for (const auto& [name, t] : tensors) fmt::print(" {} {} {}", name, dsv3::name(t.dtype), shape_text(t.shape));
  fmt::print("\n");
}

}  // namespace

int oracle_list(const OracleArguments& a) {
  std::size_t width = 0;
  for (const Op& op : registry()) width = std::max(width, op.name.size());
  for (const Op& op : registry())
    if (a.json) fmt::print("{}\n", description_json(op));
    else fmt::print("{:<{}}  {}\n", op.name, width, op.what);
  return 0;
}

int oracle_describe(const OracleArguments& a) {
  const Op& op = op_named(a.op);
  fmt::print("{}", a.json ? description_json(op) + "\n" : description(op));
  return 0;
}

namespace {

/// All kinds of cases of all ops, or of one.
int gen_all(const OracleArguments& a) {
  require(a.kind.empty() && a.set.empty(), "--all", "draws every kind of case as it is: no --kind and no --set");
  const Pack pack = write_pack(a.out, a.op.empty() ? registry() : std::vector{op_named(a.op)}, a.seed);
  if (!a.json) fmt::print("{}: {} cases, {:.1f} MB\n", a.out, pack.files, static_cast<double>(pack.bytes) / 1e6);
  return 0;
}

}  // namespace

int oracle_gen(const OracleArguments& a) {
  if (a.all) return gen_all(a);
  require(!a.op.empty(), "oracle gen", "there is no op; the name of one, or --all, is needed");
  const Op& op = op_named(a.op);
  const Notice notice("gen " + op.name);
  const Settings settings = settings_of(op, given(op, a.set));
  const Case c =
      drawn(op, a.kind.empty() ? op.kinds.front().name : a.kind, a.seed, settings.sizes, settings.attributes);
  write_case(a.out, op, c);
  print_written(a, c.inputs);
  return 0;
}

int oracle_run(const OracleArguments& a) {
  const Op& op = op_named(a.op);
  const Notice notice("run " + op.name);
  const Case c = case_of(op, a);
  for (const std::string& remark : remarks_of(c)) fmt::print(stderr, "dsv3 oracle: {}\n", remark);
  const Tensors ours = oracle::run(op, c);
  write_tensors(a.out, ours);
  print_written(a, ours);
  return 0;
}

namespace {

Report reported(const OracleArguments& a, const char* command,
                Report (*report)(const Op&, const Case&, const Tensors&)) {
  require(a.case_file != standard_stream || a.theirs != standard_stream, command,
          "case and theirs are both -; standard input is one of them");
  const Op& op = op_named(a.op);
  const Notice notice(concat(command, " ", op.name));
  const Tensors theirs = read_tensors(a.theirs);  // of a pipe: when they are here, whoever wrote the case is done
  Report said = report(op, case_of(op, a), theirs);
  fmt::print("{}", a.json ? said.json + "\n" : said.text);
  return said;
}

}  // namespace

int oracle_check(const OracleArguments& a) {
  const Agreement agreement = reported(a, "check", check_report).agreement;
  return agreement == Agreement::bits || agreement == Agreement::within ? 0 : 1;
}

int oracle_find(const OracleArguments& a) { return reported(a, "find", find_report).found ? 0 : 1; }

}  // namespace dsv3::cli
