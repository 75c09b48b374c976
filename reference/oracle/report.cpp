// SPDX-License-Identifier: MIT
#include "reference/oracle/report.hpp"

#include <nlohmann/json.hpp>

#include "reference/oracle/find.hpp"
#include "reference/oracle/joined.hpp"

namespace dsv3::oracle {
namespace {

std::string lines(const std::vector<std::string>& remarks) {
  std::string out;
  for (const std::string& remark : remarks) out += remark + "\n";
  return out;
}

std::string with_remarks(const std::string& json, const std::vector<std::string>& remarks) {
  auto object = nlohmann::ordered_json::parse(json);
  object["remarks"] = remarks;
  return object.dump();
}

}  // namespace

std::vector<std::string> remarks_of(const Case& c) {
  if (c.assumed.empty()) return {};
  const auto with_value = [&](const std::string& name) { return name + "=" + text(c.attributes.at(name)); };
  return {"attributes that the case does not name have their defaults: " + joined(c.assumed, with_value)};
}

Report check_report(const Op& op, const Case& c, const Tensors& theirs) {
  const Verdict verdict = judge(op, c, theirs);
  const std::vector<std::string> remarks = remarks_of(c);
  return {.agreement = verdict.agreement,
          .text = lines(remarks) + text(verdict),
          .json = with_remarks(to_json(verdict), remarks)};
}

Report find_report(const Op& op, const Case& c, const Tensors& theirs) {
  Search search = find(op, c, theirs);
  const std::vector<std::string> remarks = remarks_of(c);
  Report report;
  if (!search.best.empty()) report.agreement = search.best.front().verdict.agreement;
  const bool compared = report.agreement != Agreement::nothing;
  if (!compared) search.best.clear();
  report.found = search.found();
  report.text = lines(remarks) + (compared ? text(search, c) : nothing_compared);
  report.json = with_remarks(to_json(search), remarks);
  return report;
}

}  // namespace dsv3::oracle
