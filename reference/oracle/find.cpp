// SPDX-License-Identifier: MIT
#include "reference/oracle/find.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "reference/core/require.hpp"
#include "reference/oracle/joined.hpp"

namespace dsv3::oracle {
namespace {

struct Change {
  std::string attribute;
  Attribute value;
};

/// Every other choice of each convention.
std::vector<Change> changes_of(const Op& op, const Case& c) {
  std::vector<Change> all;
  for (const AttributeSpec& spec : op.attributes) {
    if (!spec.convention) continue;
    const Attribute& now = c.attributes.at(spec.name);
    if (const bool* on = std::get_if<bool>(&now)) all.push_back({spec.name, !*on});
    for (const std::string& choice : spec.choices)
      if (now != Attribute(choice)) all.push_back({spec.name, choice});
    for (const Attribute& other : spec.others)
      if (now != other) all.push_back({spec.name, other});
  }
  return all;
}

/// Elements over all outputs; all those of an output that cannot be compared.
Index counted(const Verdict& verdict, Index TensorVerdict::*which) {
  Index sum = 0;
  for (const TensorVerdict& v : verdict.tensors)
    sum += v.agreement == Agreement::outside && v.different == 0 ? v.elements : v.*which;
  return sum;
}

/// A reading whose bounds are wide explains what it does not bring nearer: of what was outside, it must take half of
/// the distance at least.
bool brings_nearer(const Verdict& reading, const Verdict& as_it_is) {
  for (std::size_t i = 0; i < as_it_is.tensors.size(); ++i)
    if (as_it_is.tensors[i].agreement == Agreement::outside &&
        !(reading.tensors[i].distance <= as_it_is.tensors[i].distance / 2))
      return false;
  return true;
}

/// Whether something is missing or of another shape or type, which no reading changes.
bool cannot_be_compared(const Verdict& verdict) {
  return std::ranges::any_of(verdict.tensors, [](const TensorVerdict& v) {
    return v.agreement == Agreement::outside && v.outside == 0 && v.different == 0;
  });
}

/// Of what brings theirs no nearer the tensors may be within their bounds all the same.
bool any_outside(const Verdict& verdict) {
  return std::ranges::any_of(verdict.tensors, [](const TensorVerdict& v) { return v.agreement == Agreement::outside; });
}

class Finder {
 public:
  Finder(const Op& op, const Case& c, const Tensors& theirs) : op_(op), case_(c), theirs_(theirs) {}

  void attempt(const std::vector<Change>& changes) {
    Finding finding;
    Case other = case_;
    for (const Change& change : changes)
      other.attributes[change.attribute] = finding.changed[change.attribute] = change.value;
    Tensors ours;
    try {
      ours = run(op_, other);
    } catch (const std::invalid_argument&) {
      return;
    }
    finding.verdict = judge(op_, other, ours, theirs_);
    if (!changes.empty() && finding.verdict.agreement == Agreement::within &&
        !brings_nearer(finding.verdict, search.as_it_is.verdict))
      finding.verdict.agreement = Agreement::outside;
    finding.different = counted(finding.verdict, &TensorVerdict::different);
    finding.outside = counted(finding.verdict, &TensorVerdict::outside);
    ++search.tried;
    if (changes.empty()) search.as_it_is = finding;
    search.best.push_back(std::move(finding));
    std::ranges::stable_sort(search.best, {}, [](const Finding& f) {
      // Of what is within bounds the simplest reading is the likeliest.
      const bool is_outside = any_outside(f.verdict);
      return std::tuple(f.verdict.agreement, is_outside, is_outside ? 0 : f.changed.size(), f.outside, f.different);
    });
    search.best.resize(std::min<std::size_t>(search.best.size(), 4));
  }
  Search search;

 private:
  const Op& op_;
  const Case& case_;
  const Tensors& theirs_;
};

std::string in_words(const Search& search, const Finding& finding, const Case& c) {
  if (finding.changed.empty()) return "the case as it is";
  return joined(finding.changed, [&](const auto& change) {
    const auto zero = search.zeros.find(change.first);
    const auto word = [&](const Attribute& value) {
      return zero != search.zeros.end() && value == Attribute(Index{0}) ? zero->second : text(value);
    };
    return concat(change.first, "=", word(change.second), " instead of ", word(c.attributes.at(change.first)));
  });
}

/// What a reading leaves unexplained.
std::string shortcoming(const Finding& finding) {
  if (finding.outside > 0) return fmt::format("{} elements are outside, {} differ", finding.outside, finding.different);
  if (!any_outside(finding.verdict))
    return fmt::format("within bounds that are wide, but hardly nearer, {} differ", finding.different);
  const auto spread = std::ranges::find(finding.verdict.tensors, Agreement::outside, &TensorVerdict::agreement);
  return fmt::format(
      "each element is within its bound, but the spread of {} is {:.2f} times that of a sound implementation, {} "
      "differ",
      spread->name, spread->rms, finding.different);
}

}  // namespace

Search find(const Op& op, const Case& c, const Tensors& theirs) {
  const std::vector<Change> changes = changes_of(op, c);
  Finder finder(op, c, theirs);
  for (const AttributeSpec& spec : op.attributes)
    if (!spec.zero.empty()) finder.search.zeros[spec.name] = spec.zero;
  finder.attempt({});
  if (!finder.search.best.empty() && cannot_be_compared(finder.search.best.front().verdict)) return finder.search;
  for (const Change& change : changes) finder.attempt({change});
  const auto enough = [&] {
    const Agreement best =
        finder.search.best.empty() ? Agreement::outside : finder.search.best.front().verdict.agreement;
    return best == Agreement::bits || (best == Agreement::within && op.imitate);
  };
  for (std::size_t i = 0; i < changes.size() && !enough(); ++i)
    for (std::size_t j = i + 1; j < changes.size(); ++j)
      if (changes[i].attribute != changes[j].attribute) finder.attempt({changes[i], changes[j]});
  return finder.search;
}

std::string text(const Search& search, const Case& c) {
  std::string out;
  if (!search.best.empty() && cannot_be_compared(search.best.front().verdict))
    return "no reading helps:\n" + text(search.best.front().verdict);
  if (!search.found()) {
    const std::string only_spread = search.as_it_is.outside == 0 && any_outside(search.as_it_is.verdict)
                                        ? "as the case is, " + shortcoming(search.as_it_is) + "; "
                                        : "";
    out = fmt::format("none of {} readings gives these values; {}the nearest:\n", search.tried, only_spread);
  }
  for (const Finding& finding : search.best) {
    if (finding.verdict.agreement != search.best.front().verdict.agreement) break;
    const std::string reading = in_words(search, finding, c);
    if (finding.verdict.agreement == Agreement::bits) out += fmt::format("equal bit for bit: {}\n", reading);
    else if (search.found()) out += fmt::format("within the bound: {}\n", reading);
    else out += fmt::format("  {}: {}\n", shortcoming(finding), reading);
  }
  return out;
}

std::string to_json(const Search& search) {
  nlohmann::ordered_json best = nlohmann::ordered_json::array();
  for (const Finding& f : search.best)
    best.push_back({{"changed", nlohmann::ordered_json::parse(to_json(f.changed))},
                    {"agreement", name(f.verdict.agreement)},
                    {"outside", f.outside},
                    {"different", f.different}});
  return nlohmann::ordered_json{{"found", search.found()}, {"tried", search.tried}, {"best", best}}.dump();
}

}  // namespace dsv3::oracle
