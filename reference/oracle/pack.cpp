// SPDX-License-Identifier: MIT
#include "reference/oracle/pack.hpp"

#include <algorithm>
#include <cmath>

#include "reference/checkpoint/atomic_file.hpp"
#include "reference/core/require.hpp"
#include "reference/oracle/case_file.hpp"
#include "reference/oracle/joined.hpp"
#include "reference/oracle/registry.hpp"
#include "reference/oracle/twin/tape.hpp"

namespace dsv3::oracle {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// The exponent of the power of two at or above x, biased by 127: UE8M0's codes 1 .. 254; 0 for 0, 255 for what is
/// larger.
std::uint8_t power_at_or_above(double x) {
  if (x == 0) return 0;
  if (!(x <= 0x1p127)) return 255;
  int exponent = 0;
  const double fraction = std::frexp(x, &exponent);  // in [1/2, 1)
  return static_cast<std::uint8_t>(std::max(exponent - (fraction == 0.5 ? 1 : 0), -126) + 127);
}

Tensor powers(const Doubles& values, const std::vector<Index>& shape) {
  Codes codes(1, std::ssize(values));
  std::ranges::transform(values, codes.data(), power_at_or_above);
  Tensor t = tensor(Dtype::u8, codes);
  t.shape = shape;
  return t;
}

/// One NaN for all: which of them an operation gives is the processor's choice.
Tensor with_one_nan(Tensor t) {
  if (!is_plain_float(t.dtype) || t.dtype == Dtype::f64) return t;  // no op gives F64
  const FloatMatrix quiet = FloatMatrix::Constant(1, 1, std::numeric_limits<float>::quiet_NaN());
  const Tensor nan = rounded(t.dtype, quiet, {1});
  const auto copy = std::make_shared<std::vector<std::byte>>(t.bytes.begin(), t.bytes.end());
  const Doubles numbers = values(t);
  for (std::size_t i = 0; i < numbers.size(); ++i)
    if (std::isnan(numbers[i]))
      std::ranges::copy(nan.bytes, copy->begin() + static_cast<std::ptrdiff_t>(i * nan.bytes.size()));
  t.bytes = *copy, t.owner = copy;
  return t;
}

/// The center rounded to the output's type, or ours. The limit becomes that around it.
Tensor expected(const Tensor& ours, Limit& limit) {
  if (limit.center.empty() || is_whole(ours.dtype)) return ours;
  FloatMatrix rounded_center(1, std::ssize(limit.center));
  std::ranges::transform(limit.center, rounded_center.data(), [](double x) { return static_cast<float>(x); });
  Tensor t = rounded(ours.dtype, rounded_center, ours.shape);
  const Doubles at = values(t);
  for (std::size_t i = 0; i < at.size(); ++i) {
    const double shift = std::abs(at[i] - limit.center[i]);
    if (!(shift > 0)) continue;
    limit.bound[i] += shift;
    if (!limit.spread.empty()) limit.spread[i] += shift;
  }
  return t;
}

/// The scores that a layer chooses by: what the op states last before the experts.
const std::string& scores_of(const Op& op, const std::string& layer) {
  const auto experts = std::ranges::find(op.outputs, layer + "experts", &TensorSpec::name);
  require(experts > op.outputs.begin() && experts < op.outputs.end(), "pack", op.name, " has ", layer,
          "margin, but not experts and scores before it");
  return std::prev(experts)->name;
}

/// Tokens whose experts rounding may tip or, where the scores are s of Eq. (15), list in another order. The margin is
/// of scores, or of sums of two: four of them, none farther off than its spread.
std::vector<bool> undecided(const Op& op, const Case& c, const Tensors& ours, const Limits& limits,
                            const std::string& layer) {
  const Doubles margin = values(ours.at(layer + "margin")), s = values(ours.at(scores_of(op, layer)));
  const Doubles& spread = limits.at(scores_of(op, layer)).spread;
  const std::vector<std::int64_t> experts = integers(ours.at(layer + "experts"));
  const Doubles b = c.inputs.contains("b") ? values(c.in("b")) : Doubles();
  const std::size_t T = margin.size(), N_r = s.size() / std::max<std::size_t>(T, 1),
                    K_r = experts.size() / std::max<std::size_t>(T, 1);
  require(spread.size() == s.size(), "pack", op.name, " has no spread of ", scores_of(op, layer));
  std::vector<bool> rows;
  for (std::size_t t = 0; t < T; ++t) {
    const auto of_token = std::span(spread).subspan(t * N_r, N_r);
    const double reach = 4 * std::ranges::max(of_token);  // 0: scores are exact, and ties have their rule
    rows.push_back(reach > 0 && margin[t] <= reach);
    for (std::size_t k = 0; k + 1 < K_r && !b.empty(); ++k) {
      const auto i = static_cast<std::size_t>(experts[t * K_r + k]),
                 j = static_cast<std::size_t>(experts[t * K_r + k + 1]);
      const double lead = s[t * N_r + i] + b[i] - s[t * N_r + j] - b[j];
      if (reach > 0 && lead <= of_token[i] + of_token[j]) rows.back() = true;
    }
  }
  return rows;
}

/// What comes after a choice that may be another is not judged: in the outputs of a gate or a layer its tokens' rows;
/// in those of a model and of a backward pass, where tokens mix, all of it.
void pass_over(const Op& op, const std::vector<bool>& rows, const std::string& layer, const Tensors& ours,
               Limits& limits) {
  const bool mixes = !layer.empty() || op.name.ends_with("_backward");
  const auto after = std::ranges::find(op.outputs, layer + "experts", &TensorSpec::name);
  for (auto spec = after; spec != op.outputs.end(); ++spec) {
    Limit& limit = limits.at(spec->name);
    const auto size = static_cast<std::size_t>(ours.at(spec->name).size());
    limit.bound.resize(size);
    for (std::size_t i = 0; i < size; ++i) {
      const bool may_differ = mixes ? std::ranges::find(rows, true) != rows.end() : rows[i * rows.size() / size];
      if (!may_differ) continue;
      limit.bound[i] = infinity;
      if (!limit.spread.empty()) limit.spread[i] = infinity;
    }
  }
}

/// The layers whose choice of experts the op states: "" or the beginnings of the outputs' names.
std::vector<std::string> choosing_layers(const Op& op) {
  constexpr std::string_view margin = "margin";
  std::vector<std::string> layers;
  for (const TensorSpec& spec : op.outputs)
    if (spec.name.ends_with(margin)) layers.push_back(spec.name.substr(0, spec.name.size() - margin.size()));
  return layers;
}

Limits limits_from_inputs(const Op& op, const Case& c, const Tensors& ours) {
  Limits limits = op.limits(c, ours, {});
  for (const std::string& layer : choosing_layers(op))
    pass_over(op, undecided(op, c, ours, limits, layer), layer, ours, limits);
  return limits;
}

/// With all that the op can state; run() may leave out what is optional.
Tensors all_outputs(const Op& op, const Case& c) { return op.imitate ? op.imitate(c, Arithmetic()) : run(op, c); }

std::string optional_outputs(const Op& op) {
  std::vector<std::string> names;
  for (const TensorSpec& spec : op.outputs)
    if (spec.optional) names.push_back(spec.name);
  return joined(names, {}, ",");
}

}  // namespace

Tensors packed(const Op& op, const Case& c) {
  Tensors all;
  for (const auto& [name, t] : c.inputs) all["inputs." + name] = t;
  const Tensors ours = all_outputs(op, c);
  Limits limits = limits_from_inputs(op, c, ours);
  for (const auto& [name, t] : ours) {
    Limit& limit = limits.at(name);
    all["outputs." + name] = with_one_nan(expected(t, limit));
    if (!limit.bound.empty()) all["bound." + name] = powers(limit.bound, t.shape);
    if (!limit.spread.empty()) all["spread." + name] = powers(limit.spread, t.shape);
  }
  return all;
}

Pack write_pack(const std::filesystem::path& folder, const std::vector<Op>& ops, std::uint64_t seed) {
  require_world(!std::filesystem::exists(folder), folder.string(), "is there already; a new folder is needed");
  AtomicDirectory writing(folder);
  Pack pack;
  for (const Op& op : ops) {
    const auto of_op = writing.folder() / op.name;
    std::filesystem::create_directory(of_op);
    write_file(of_op / "contract.json", description_json(op) + "\n");
    for (const CaseKind& kind : op.kinds) {
      const Case c = drawn(op, kind.name, seed, {}, {});
      const auto path = of_op / (kind.name + ".safetensors");
      write_tensors(path, packed(op, c),
                    {{"dsv3_op", op.name},
                     {"dsv3_kind", kind.name},
                     {"dsv3_seed", std::to_string(seed)},
                     {"dsv3_attributes", to_json(c.attributes)},
                     {"dsv3_optional", optional_outputs(op)}});
      ++pack.files, pack.bytes += static_cast<Index>(std::filesystem::file_size(path));
    }
  }
  writing.commit();
  return pack;
}

}  // namespace dsv3::oracle
