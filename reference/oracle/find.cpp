// SPDX-License-Identifier: MIT
#include "reference/oracle/find.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

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
  }
  return all;
}

Index different(const Verdict& verdict) {
  Index sum = 0;
  for (const TensorVerdict& v : verdict.tensors)
    sum += v.agreement == Agreement::outside && v.different == 0 ? v.elements : v.different;
  return sum;
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
    finding.verdict = judge(op_, ours, all_bits(ours), theirs_);
    finding.different = different(finding.verdict);
    ++search.tried;
    search.best.push_back(std::move(finding));
    std::ranges::stable_sort(search.best, {}, &Finding::different);
    search.best.resize(std::min<std::size_t>(search.best.size(), 4));
  }
  Search search;

 private:
  const Op& op_;
  const Case& case_;
  const Tensors& theirs_;
};

std::string in_words(const Finding& finding, const Case& c) {
  if (finding.changed.empty()) return "the case as it is";
  return joined(finding.changed, [&](const auto& change) {
    return concat(change.first, "=", text(change.second), " instead of ", text(c.attributes.at(change.first)));
  });
}

}  // namespace

Search find(const Op& op, const Case& c, const Tensors& theirs) {
  const std::vector<Change> changes = changes_of(op, c);
  Finder finder(op, c, theirs);
  finder.attempt({});
  for (const Change& change : changes) finder.attempt({change});
  for (std::size_t i = 0; i < changes.size() && !finder.search.found(); ++i)
    for (std::size_t j = i + 1; j < changes.size(); ++j)
      if (changes[i].attribute != changes[j].attribute) finder.attempt({changes[i], changes[j]});
  return finder.search;
}

std::string text(const Search& search, const Case& c) {
  std::string out;
  if (!search.found()) out = fmt::format("none of {} readings gives these bits; the nearest:\n", search.tried);
  for (const Finding& finding : search.best) {
    if (search.found() && finding.different > 0) break;
    out += search.found() ? fmt::format("equal bit for bit: {}\n", in_words(finding, c))
                          : fmt::format("  {} elements differ: {}\n", finding.different, in_words(finding, c));
  }
  return out;
}

std::string to_json(const Search& search) {
  nlohmann::ordered_json best = nlohmann::ordered_json::array();
  for (const Finding& f : search.best)
    best.push_back({{"changed", nlohmann::ordered_json::parse(to_json(f.changed))}, {"different", f.different}});
  return nlohmann::ordered_json{{"found", search.found()}, {"tried", search.tried}, {"best", best}}.dump();
}

}  // namespace dsv3::oracle
