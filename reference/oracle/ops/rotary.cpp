// SPDX-License-Identifier: MIT
#include "reference/oracle/ops/rotary.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "reference/oracle/ops/ops.hpp"

namespace dsv3::oracle {
namespace {

const std::vector<AttributeSpec>& conventions() {
  static const std::vector<AttributeSpec> all{
      convention("interpolation", {"yarn", "linear", "ntk", "none"},
                 "each frequency by its turns; all divided by yarn_factor; a larger theta; nothing"),
      convention(
          "applies", {"above_original", "always", "prompt_above_original"},
          "YaRN is on where max_length is above original_length, always, or where the prompt's last position is"),
      convention("ramp", {"floor_ceil", "unrounded", "over_channels"},
                 "its ends are whole numbers; are not; its index counts channels instead of pairs"),
      convention("betas", {"fast_first", "swapped"}, "the ramp begins at beta_fast's pair and ends at beta_slow's"),
      convention("cos_sin_factor", {"ratio", "mscale", "none"},
                 "mscale's temperature over mscale_all_dim's, as in transformers; mscale's alone; 1"),
      convention("frequencies", {"fp32", "bf16"},
                 "f_i as they are, or rounded to BF16, as a buffer cast with its model"),
      convention("tables", {"fp32", "bf16"}, "cos and sin are used as they are, or rounded to BF16")};
  return all;
}

double number(const Case& c, std::string_view name) { return c.attribute<double>(name); }
double whole(const Case& c, std::string_view name) { return static_cast<double>(c.attribute<Index>(name)); }

/// p_i = theta^(2i / width), [1, width/2]. Its exponent may be rounded, and so may it, within 4 u.
Var powers(Tape& tape, double theta, Index width) {
  Estimate p(1, width / 2);
  for (Index i = 0; i < p.cols; ++i) {
    const double e = 2.0 * static_cast<double>(i) / static_cast<double>(width), power = std::pow(theta, e);
    p(0, i) = i == 0 ? Approx{1} : widened({power}, (e * std::log(theta) + 4) * u * power);
  }
  return tape.put(std::move(p), {});
}

/// The pair that makes `turns` turns over the original length.
double pair_with(const Case& c, Index width, double turns) {
  return static_cast<double>(width) * std::log(whole(c, "original_length") / (2 * std::numbers::pi * turns)) /
         (2 * std::log(number(c, "theta")));
}

/// 0 for pairs that stay as trained, 1 for those that are slowed down, [1, width/2].
Var ramp(Tape& tape, const Case& c, Index width) {
  const bool swapped = c.word("betas") == "swapped", rounds = c.word("ramp") != "unrounded";
  double low = pair_with(c, width, number(c, swapped ? "beta_slow" : "beta_fast"));
  double high = pair_with(c, width, number(c, swapped ? "beta_fast" : "beta_slow"));
  if (rounds) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0), high = std::min(high, static_cast<double>(width - 1));
  if (low == high) high += 0.001;
  Estimate out(1, width / 2);
  for (Index i = 0; i < out.cols; ++i) {
    const auto place = static_cast<double>(c.word("ramp") == "over_channels" ? 2 * i : i);
    const double x = std::clamp((place - low) / (high - low), 0.0, 1.0);
    out(0, i) = x > 0 && x < 1 ? widened({x}, 3 * u) : Approx{x};
  }
  return tape.put(std::move(out), {});
}

/// The values of a computation that nothing is rounded in, as if they were given.
template <class F>
Var exact_value(Twin& t, const F& compute) {
  Tape tape;
  Estimate values = compute(tape).value();
  for (Approx& a : values.at) a = {a.value};
  return t.tape.input(std::move(values));
}

Var positions_of(Tape& tape, const Case& c) {
  const std::vector<std::int64_t> numbers = integers(c.in("positions"));
  Estimate out(std::ssize(numbers), 1);
  for (Index t = 0; t < out.rows; ++t)
    out(t, 0).value = static_cast<double>(numbers[static_cast<std::size_t>(t)] + c.attribute<Index>("first_position"));
  return tape.input(std::move(out));
}

/// Radians per position before anything rounds them on purpose, [1, width/2].
Var unrounded_frequencies(Tape& tape, const Case& c, Index width) {
  const std::string kind = interpolates(c) ? c.word("interpolation") : "none";
  const double s = number(c, "yarn_factor"), n = static_cast<double>(width);
  const double theta = number(c, "theta") * (kind == "ntk" ? std::pow(s, n / (n - 2)) : 1);
  const Var f = tape.constant(1) / powers(tape, theta, width);
  if (kind == "none" || kind == "ntk") return f;
  const Var slowed = f / tape.constant(s);
  if (kind == "linear") return slowed;
  const Var share = ramp(tape, c, width);
  return slowed * share + f * (tape.constant(1) - share);
}

double factor_on_tables(const Case& c) {
  const std::string& which = c.word("cos_sin_factor");
  if (which == "none" || !interpolates(c)) return 1;
  const double mscale = temperature(c, number(c, "mscale"));
  return which == "mscale" ? mscale : mscale / temperature(c, number(c, "mscale_all_dim"));
}

/// Channels of the first and of the second number of each pair, one after the other.
std::vector<Index> halves(Index width, bool interleaved) {
  std::vector<Index> channels;
  for (const Index second : {0, 1})
    for (Index i = 0; i < width / 2; ++i) channels.push_back(interleaved ? 2 * i + second : i + second * (width / 2));
  return channels;
}

std::vector<Index> inverse(const std::vector<Index>& to) {
  std::vector<Index> from(to.size());
  for (std::size_t i = 0; i < to.size(); ++i) from[static_cast<std::size_t>(to[i])] = static_cast<Index>(i);
  return from;
}

}  // namespace

std::vector<AttributeSpec> rotary_attributes() {
  std::vector<AttributeSpec> all{
      {.name = "theta",
       .fallback = 10000.0,
       .what = "base of the frequencies theta^(-2i / width)",
       .least = 1,
       .most = 1e12,
       .above_least = true,
       .convention = true,
       .others = {500000.0, 1000000.0}},
      {.name = "yarn_factor",
       .fallback = 40.0,
       .what = "s of YaRN, at least 1; 0: plain RoPE",
       .least = 0,
       .most = 1e6},
      {.name = "original_length",
       .fallback = Index{4096},
       .what = "positions before YaRN",
       .least = 1,
       .most = 1 << 24},
      {.name = "max_length",
       .fallback = Index{163840},
       .what = "positions are below it; YaRN is on where it is above original_length",
       .least = 1,
       .most = 1 << 24},
      {.name = "beta_fast",
       .fallback = 32.0,
       .what = "turns from which on a pair stays as trained, not below beta_slow",
       .least = 0,
       .above_least = true},
      {.name = "beta_slow",
       .fallback = 1.0,
       .what = "turns up to which a pair is slowed down",
       .least = 0,
       .most = 1e6,
       .above_least = true},
      {.name = "mscale", .fallback = 1.0, .what = "of the factor on cos and sin", .least = 0, .most = 1e3},
      {.name = "mscale_all_dim",
       .fallback = 1.0,
       .what = "m of 0.1 m ln(s) + 1, squared on the softmax scale",
       .least = 0,
       .most = 1e3},
      convention(
          "angles", {"released", "exact"},
          "position, frequency, angle, cos and sin each rounded to FP32, as released; or nothing but cos and sin"),
      {.name = "first_position",
       .fallback = Index{0},
       .what = "added to every position: whether they count from 0 or from 1",
       .least = -1,
       .most = 1,
       .convention = true,
       .others = {Index{0}, Index{1}}}};
  std::ranges::find(all, "angles", &AttributeSpec::name)->by_rounding = true;
  all.insert(all.end(), conventions().begin(), conventions().end());
  return all;
}

RopeConfig rope_config(const Case& c, Index width) {
  RopeConfig config{.width = width,
                    .theta = number(c, "theta"),
                    .max_length = c.attribute<Index>("max_length"),
                    .angles = c.word("angles") == "exact" ? AngleDialect::exact : AngleDialect::released};
  if (number(c, "yarn_factor") != 0)
    config.yarn = YarnConfig{.factor = number(c, "yarn_factor"),
                             .original_length = c.attribute<Index>("original_length"),
                             .beta_fast = number(c, "beta_fast"),
                             .beta_slow = number(c, "beta_slow"),
                             .mscale = number(c, "mscale"),
                             .mscale_all_dim = number(c, "mscale_all_dim")};
  return config;
}

RopeTable rope_table(const Case& c, Index width) {
  Sequences rows;
  for (const std::int64_t position : integers(c.in("positions"))) rows.add(1, position);
  return {rope_config(c, width), rows};
}

bool has_usual_tables(const Case& c) { return as_usual(c, conventions()) && c.attribute<Index>("first_position") == 0; }

bool interpolates(const Case& c) {
  const std::string& applies = c.word("applies");
  if (number(c, "yarn_factor") == 0) return false;
  if (applies == "always") return true;
  if (applies == "above_original") return c.attribute<Index>("max_length") > c.attribute<Index>("original_length");
  const std::vector<std::int64_t> positions = integers(c.in("positions"));
  return std::ranges::any_of(positions, [&](auto p) { return p >= c.attribute<Index>("original_length"); });
}

double temperature(const Case& c, double m) { return 0.1 * m * std::log(number(c, "yarn_factor")) + 1; }

Var frequencies(Tape& tape, const Case& c, Index width) {
  const Var f = unrounded_frequencies(tape, c, width);
  return c.word("frequencies") == "bf16" ? in_format(f, FormatId::bf16) : f;
}

Turns turns(Twin& t, Var f, Index width) {
  const Case& c = t.call;
  const Var angle = c.word("angles") == "released" ? positions_of(t.tape, c) * f : exact_value(t, [&](Tape& tape) {
    return positions_of(tape, c) * frequencies(tape, c, width);
  });
  Turns turns{cos(angle), sin(angle)};
  if (const double factor = factor_on_tables(c); factor != 1) turns = {factor * turns.cos, factor * turns.sin};
  if (c.word("tables") == "bf16") turns = {in_format(turns.cos, FormatId::bf16), in_format(turns.sin, FormatId::bf16)};
  return turns;
}

std::vector<AttributeSpec> rotation_attributes() {
  return {
      convention("layout", {"interleaved", "half", "interleaved_to_half"},
                 "pair i is channels 2i and 2i + 1 (the released weights), or i and i + W/2 (rotate half), or is read "
                 "like the first and written like the second (transformers' rope_interleave)"),
      convention("direction", {"forward", "backward"}, "the sign of the angle"),
      convention("rotation", {"fp32", "bf16"},
                 "in FP32, or all in BF16: channels, cos and sin, each product and each sum, gradients too")};
}

Var rotated(const Case& call, Var x, Index heads, const Turns& table) {
  const std::string& layout = call.word("layout");
  const auto kept = [in_bf16 = call.word("rotation") == "bf16"](Var v) { return in_bf16 ? in_bf16_both_ways(v) : v; };
  const auto times = [&kept](Var channels, Var factors) { return kept(kept(channels) * factors); };
  const Index half = x.cols() / 2;
  std::vector<Index> token_of_row;
  for (Index row = 0; row < x.rows(); ++row) token_of_row.push_back(row / heads);
  const Var c = kept(rows(table.cos, token_of_row));
  const Var s = (call.word("direction") == "forward" ? 1.0 : -1.0) * kept(rows(table.sin, token_of_row));
  const Var pairs = kept(columns(x, halves(x.cols(), layout != "half")));
  const Var a = columns(pairs, 0, half), b = columns(pairs, half, half);
  const Var turned = beside({kept(times(a, c) - times(b, s)), kept(times(a, s) + times(b, c))});
  return columns(turned, inverse(halves(x.cols(), layout == "interleaved")));
}

std::vector<std::int64_t> drawn_positions(const std::string& kind, Index T, Index max_length, Random& random) {
  const std::vector<std::int64_t> borders{1, 4095, 4096, 4097, 65535, 131071, 163838, 163839};
  std::vector<std::int64_t> all(static_cast<std::size_t>(T));
  for (std::int64_t& position : all) {
    position = random.below(std::min<Index>(max_length, kind == "far" ? max_length : 4096));
    if (kind == "borders") position = borders[static_cast<std::size_t>(random.below(std::ssize(borders)))];
    if (kind == "start") position = random.below(3);
    position = std::min<std::int64_t>(position, max_length - 1);
  }
  return all;
}

}  // namespace dsv3::oracle
