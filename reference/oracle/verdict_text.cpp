// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "reference/checkpoint/safetensors.hpp"
#include "reference/oracle/joined.hpp"
#include "reference/oracle/verdict.hpp"

namespace dsv3::oracle {
namespace {

std::string at(const TensorVerdict& v) {
  return fmt::format("({}): theirs {:.9g}, ours {:.9g}, {:.3g} apart, {:.3g} ulp, bound {:.3g}", joined(v.index),
                     v.theirs, v.ours, std::abs(v.theirs - v.ours), v.ulps, v.bound);
}

std::string text(const TensorVerdict& v) {
  std::string out = fmt::format("{}: {}", v.name, name(v.agreement));
  if (v.agreement == Agreement::nothing) out += ", it has no elements";
  if (v.agreement == Agreement::bits) out += fmt::format(", {} elements", v.elements);
  if (!v.why.empty()) out += fmt::format("\n  {} {}", v.name, v.why);
  if (v.outside > 0)
    out += fmt::format("\n  {} of {} elements are outside, {} differ at all\n  the first at {}", v.outside, v.elements,
                       v.different, at(v));
  else if (v.different > 0 && v.share == 0)
    out += fmt::format(", {} of {} elements differ from our own run, and need not be ours", v.different, v.elements);
  else if (v.different > 0)
    out += fmt::format(", {} of {} elements differ\n  the nearest to its bound ({:.0f}% of it) at {}", v.different,
                       v.elements, 100 * v.share, at(v));
  for (const Place& place : v.places)
    out += fmt::format("\n  all of them in: {} ({} of its {} elements)", place.where, place.outside, place.all);
  if (v.rms > 0 && v.why.empty())
    out += fmt::format("\n  spread: {:.2f} of what a sound implementation may have", v.rms);
  for (const std::string& remark : v.remarks) out += "\n  " + remark;
  return out + "\n";
}

/// JSON has no infinities.
nlohmann::ordered_json number(double x) {
  if (std::isfinite(x)) return x;
  return std::isnan(x) ? "NaN" : x > 0 ? "Infinity" : "-Infinity";
}

}  // namespace

const char* name(Agreement agreement) {
  constexpr std::array words{"nothing to compare", "equal bit for bit", "within the bound", "OUTSIDE"};
  return words[static_cast<std::size_t>(agreement)];
}

std::string text(const Verdict& verdict) {
  std::string out;
  for (const TensorVerdict& v : verdict.tensors) out += text(v);
  if (verdict.agreement == Agreement::nothing) out += nothing_compared;
  const auto first = std::ranges::find(verdict.tensors, Agreement::outside, &TensorVerdict::agreement);
  if (first != verdict.tensors.end() && verdict.tensors.size() > 2)
    out += fmt::format("the first to diverge, in the order of the computation: {}\n", first->name);
  return out;
}

std::string to_json(const Verdict& verdict) {
  nlohmann::ordered_json tensors = nlohmann::ordered_json::array();
  for (const TensorVerdict& v : verdict.tensors) {
    nlohmann::ordered_json places = nlohmann::ordered_json::array();
    for (const Place& p : v.places) places.push_back({{"where", p.where}, {"outside", p.outside}, {"elements", p.all}});
    tensors.push_back({{"name", v.name},
                       {"agreement", name(v.agreement)},
                       {"why", v.why},
                       {"elements", v.elements},
                       {"different", v.different},
                       {"outside", v.outside},
                       {"index", v.index},
                       {"ours", number(v.ours)},
                       {"theirs", number(v.theirs)},
                       {"bound", number(v.bound)},
                       {"ulps", number(v.ulps)},
                       {"share", number(v.share)},
                       {"rms", number(v.rms)},
                       {"remarks", v.remarks},
                       {"places", places}});
  }
  return nlohmann::ordered_json{{"agreement", name(verdict.agreement)}, {"tensors", tensors}}.dump();
}

}  // namespace dsv3::oracle
