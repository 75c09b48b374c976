// SPDX-License-Identifier: MIT
#include "reference/oracle/pack.hpp"

#include <algorithm>
#include <cmath>

#include "reference/checkpoint/atomic_file.hpp"
#include "reference/core/require.hpp"
#include "reference/oracle/case_file.hpp"
#include "reference/oracle/joined.hpp"
#include "reference/oracle/registry.hpp"

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

/// Tokens whose experts rounding may tip (their margin is within its bound) or list in another order.
std::vector<bool> undecided(const Case& c, const Tensors& ours, const Limits& limits) {
  const std::vector<std::int64_t> experts = integers(ours.at("experts"));
  const Doubles s = values(ours.at("s")), b = values(c.in("b")), margin = values(ours.at("margin"));
  const Doubles &s_bound = limits.at("s").bound, &margin_bound = limits.at("margin").bound;
  const std::size_t N_r = b.size(), K_r = experts.size() / margin.size();
  std::vector<bool> rows;
  for (std::size_t t = 0; t < margin.size(); ++t) {
    rows.push_back(margin[t] <= margin_bound[t]);
    for (std::size_t k = 0; k + 1 < K_r; ++k) {
      const auto i = static_cast<std::size_t>(experts[t * K_r + k]),
                 j = static_cast<std::size_t>(experts[t * K_r + k + 1]);
      const double lead = s[t * N_r + i] + b[i] - s[t * N_r + j] - b[j];
      if (lead <= 2 * (s_bound[t * N_r + i] + s_bound[t * N_r + j])) rows.back() = true;
    }
  }
  return rows;
}

/// Outputs with a row for each token, other than the scores before the choice, are not judged in those rows.
void pass_over(const Op& op, const std::vector<bool>& rows, const Tensors& ours, Limits& limits) {
  for (const TensorSpec& spec : op.outputs) {
    const Tensor& t = ours.at(spec.name);
    if (spec.name == "s" || t.shape.empty() || t.shape[0] != std::ssize(rows)) continue;
    Doubles& bound = limits.at(spec.name).bound;
    bound.resize(static_cast<std::size_t>(t.size()));
    const std::size_t width = bound.size() / rows.size();
    for (std::size_t i = 0; i < bound.size(); ++i)
      if (rows[i / width]) bound[i] = infinity;
  }
}

Limits limits_from_inputs(const Op& op, const Case& c, const Tensors& ours) {
  Limits limits = op.limits(c, ours, {});
  if (ours.contains("experts") && ours.contains("s") && ours.contains("margin") && ours.at("margin").size() > 0)
    pass_over(op, undecided(c, ours, limits), ours, limits);
  return limits;
}

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
  const Tensors ours = run(op, c);
  Limits limits = limits_from_inputs(op, c, ours);
  for (const auto& [name, t] : ours) {
    Limit& limit = limits.at(name);
    all["outputs." + name] = expected(t, limit);
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
