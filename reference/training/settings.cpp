// SPDX-License-Identifier: MIT
#include "reference/training/settings.hpp"

#include <limits>
#include <nlohmann/json.hpp>

#include "reference/checkpoint/atomic_file.hpp"
#include "reference/checkpoint/json_fields.hpp"
#include "reference/checkpoint/mapped_file.hpp"
#include "reference/checkpoint/strict_json.hpp"
#include "reference/core/require.hpp"
#include "reference/linear/fp8_products.hpp"
#include "reference/training/fp8_experiment.hpp"

namespace dsv3 {
namespace {

template <class Value>
Value choice(const char* what, const std::string& name, std::initializer_list<std::pair<const char*, Value>> known) {
  std::string names;
  for (const auto& [known_name, value] : known) {
    if (name == known_name) return value;
    names += (names.empty() ? "" : " or ") + std::string(known_name);
  }
  throw std::invalid_argument(concat("train: ", what, " is '", name, "'; it must be ", names));
}

/// A recipe of the experiment of section 3.3 after "fp8:".
Precision precision_of(const std::string& name) {
  if (name.starts_with("fp8:")) return fp8_variant_named(name.substr(4)).recipe;
  return choice<Precision>("precision", name,
                           {{"fp32", Precision::fp32}, {"bf16", Precision::bf16}, {"fp8", Precision::fp8}});
}

Schedules schedules_of(const RunSettings& s) {
  require(s.steps >= 1, "train", "steps is ", s.steps, "; it must be at least 1");
  require(s.sequences >= 1, "train", "sequences is ", s.sequences, "; it must be at least 1");
  require(s.sequence_length >= 1, "train", "the sequence length is ", s.sequence_length, "; it must be at least 1");
  constexpr Index most = Index{1} << 53;  // exact as a double
  require(s.steps <= most / s.sequences && s.sequence_length <= most / (s.steps * s.sequences), "train", s.steps,
          " steps of ", s.sequences, " sequences of ", s.sequence_length, " tokens are more than 2^53 tokens");
  Schedules report = report_schedules();
  report.bias_speed.before = s.bias_speed;
  return scaled(report, {.total_tokens = s.steps * s.sequences * s.sequence_length,
                         .peak = s.learning_rate,
                         .warmup_steps = std::min<Index>(100, s.steps / 10),
                         .first_sequences = s.sequences,
                         .full_sequences = s.sequences});
}

/// use("name", "--option", member) for every field: writing, reading and comparing walk the same list.
template <class Use>
void each_field(const Use& use) {
  use("config", "--config", &RunSettings::config);
  use("data", "--data", &RunSettings::data);
  use("steps", "--steps", &RunSettings::steps);
  use("sequences", "--sequences", &RunSettings::sequences);
  use("sequence_length", "--length", &RunSettings::sequence_length);
  use("micro_batch", "--micro-batch", &RunSettings::micro_batch);
  use("learning_rate", "--learning-rate", &RunSettings::learning_rate);
  use("bias_speed", "--bias-speed", &RunSettings::bias_speed);
  use("balance_alpha", "--balance-alpha", &RunSettings::balance_alpha);
  use("balance_scope", "--balance-scope", &RunSettings::balance_scope);
  use("precision", "--precision", &RunSettings::precision);
  use("device", "--device", &RunSettings::device);
  use("moments", "--moments", &RunSettings::moments);
  use("seed", "--seed", &RunSettings::seed);
  use("evaluate_every", "--evaluate-every", &RunSettings::evaluate_every);
  use("save_every", "--save-every", &RunSettings::save_every);
}

/// Any value of the field's type: options_of judges it.
void read(JsonFields& fields, const char* name, std::string& field) { field = fields.text(name); }
void read(JsonFields& fields, const char* name, std::uint64_t& field) { field = fields.natural(name); }
void read(JsonFields& fields, const char* name, Index& field) {
  field = fields.integer(name, std::numeric_limits<Index>::min(), std::numeric_limits<Index>::max());
}
void read(JsonFields& fields, const char* name, double& field) {
  field = fields.number(name, std::numeric_limits<double>::lowest(), std::numeric_limits<double>::max());
}

}  // namespace

TrainingOptions options_of(const RunSettings& s, const ModelConfig& config) {
  TrainingOptions o{
      .config = config,
      .schedules = schedules_of(s),
      .steps = s.steps,
      .sequence_length = s.sequence_length,
      .micro_batch = s.micro_batch,
      .precision = on_device(precision_of(s.precision), s.device),
      .adamw = {},
      .balance_alpha = s.balance_alpha,
      .balance_scope = choice<BalanceScope>("balance_scope", s.balance_scope,
                                            {{"sequence", BalanceScope::sequence}, {"batch", BalanceScope::batch}}),
      .seed = s.seed};
  o.adamw.moments =
      choice<MomentFormat>("moments", s.moments, {{"fp32", MomentFormat::fp32}, {"bf16", MomentFormat::bf16}});
  require(s.evaluate_every >= 0 && s.save_every >= 0, "train", "evaluate_every is ", s.evaluate_every,
          " and save_every ", s.save_every, "; they must be 0 (only at the end) or more");
  validate(o);
  return o;
}

void write_settings(const std::filesystem::path& path, const RunSettings& settings) {
  nlohmann::ordered_json json;
  each_field([&](const char* name, const char*, auto field) { json[name] = settings.*field; });
  write_file(path, json.dump(2) + "\n");
}

RunSettings read_settings(const std::filesystem::path& path) {
  const MappedFile file(path);
  require_world(nlohmann::json::accept(file.text()), path.string(),
                "is no JSON; it needs to be what train has written there");
  nlohmann::json json = parse_strict_json(file.text(), path.string());
  if (json.is_object()) json.emplace("device", "cpu");  // a run of a version that knew no other
  JsonFields fields(json, path.string());
  RunSettings settings;
  each_field([&](const char* name, const char*, auto field) { read(fields, name, settings.*field); });
  fields.refuse_others({});
  return settings;
}

namespace {

std::string absolute(const std::string& path) {
  const std::filesystem::path whole = std::filesystem::absolute(path).lexically_normal();
  return whole.has_filename() ? whole : whole.parent_path();  // "text/" is "text"
}

}  // namespace

RunSettings with_absolute_paths(RunSettings settings) {
  if (!settings.data.empty()) settings.data = absolute(settings.data);
  if (std::filesystem::path(settings.config).extension() == ".json") settings.config = absolute(settings.config);
  return settings;
}

void require_same(const RunSettings& kept, const RunSettings& asked, const std::set<std::string>& given,
                  const std::string& where) {
  const RunSettings now = with_absolute_paths(asked);
  each_field([&](const char*, const char* option, auto field) {
    require(!given.contains(option) || kept.*field == now.*field, where, option, " is ", now.*field,
            " but the run began with ", kept.*field, "; a resumed run keeps its settings: leave ", option, " out");
  });
}

}  // namespace dsv3
