// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "reference/oracle/joined.hpp"
#include "reference/oracle/registry.hpp"

namespace dsv3::oracle {
namespace {

std::string types(const TensorSpec& spec) {
  return joined(
      spec.dtypes, [](Dtype dtype) { return name(dtype); }, "|");
}

/// In columns as wide as they must be.
std::string lines(const std::vector<TensorSpec>& specs) {
  std::size_t name_width = 0, shape_width = 0, type_width = 0;
  for (const TensorSpec& s : specs) {
    name_width = std::max(name_width, s.name.size());
    shape_width = std::max(shape_width, text(s.shape).size());
    type_width = std::max(type_width, types(s).size());
  }
  std::string out;
  for (const TensorSpec& s : specs)
    out += fmt::format("  {:<{}}  {:<{}}  {:<{}}  {}{}\n", s.name, name_width, text(s.shape), shape_width, types(s),
                       type_width, s.what, s.optional ? " (optional)" : "");
  return out;
}

std::string line(const AttributeSpec& a) {
  std::string out = fmt::format("  {}={}  {}{}\n", a.name, text(a.fallback), a.what,
                                a.convention ? " (real systems differ here)" : "");
  return out + fmt::format("      {}\n", needed(a));
}

/// Words in lines of at most 100 characters.
std::string filled(const std::string& words, const std::string& indent) {
  std::string out = indent;
  std::size_t column = indent.size();
  for (std::size_t begin = 0; begin < words.size();) {
    const std::size_t end = std::min(words.find(' ', begin), words.size());
    if (column > indent.size() && column + 1 + end - begin > 100) out += "\n" + indent, column = indent.size();
    else if (column > indent.size()) out += ' ', ++column;
    out += words.substr(begin, end - begin), column += end - begin;
    begin = end + 1;
  }
  return out + "\n";
}

nlohmann::ordered_json as_json(const std::vector<TensorSpec>& specs) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const TensorSpec& s : specs) {
    nlohmann::ordered_json dtypes = nlohmann::ordered_json::array();
    for (const Dtype dtype : s.dtypes) dtypes.push_back(name(dtype));
    all.push_back({{"name", s.name}, {"shape", s.shape}, {"dtypes", dtypes}, {"what", s.what}});
    if (s.optional) all.back()["optional"] = true;
  }
  return all;
}

nlohmann::ordered_json as_json(const AttributeSpec& a) {
  nlohmann::ordered_json out{{"name", a.name}, {"what", a.what}, {"choices", a.choices}, {"convention", a.convention}};
  std::visit([&](const auto& x) { out["default"] = x; }, a.fallback);
  const auto put_end = [&](const char* name, double end, bool excluded) {
    if (!std::isfinite(end)) return;
    if (std::holds_alternative<Index>(a.fallback)) out[name] = static_cast<Index>(end);
    else out[name] = end;
    if (excluded) out[std::string(name) + "_excluded"] = true;
  };
  if (!a.zero.empty()) out["zero"] = a.zero;
  put_end("least", a.least, a.above_least), put_end("most", a.most, a.below_most);
  return out;
}

}  // namespace

std::string description(const Op& op) {
  std::string out = op.name + "\n" + filled(op.what, "  ") + "\n" + filled(op.contract, "  ");
  out += "\ninputs\n" + lines(op.inputs) + "outputs\n" + lines(op.outputs);
  if (!op.attributes.empty()) out += "attributes\n";
  for (const AttributeSpec& a : op.attributes) out += line(a);
  out += "kinds of cases\n";
  for (const CaseKind& kind : op.kinds) {
    const std::string sizes = joined(
        kind.sizes, [](const auto& size) { return concat(size.first, "=", size.second); }, " ");
    out += fmt::format("  {:<14} {} ({})\n", kind.name, kind.what, sizes);
  }
  return out;
}

std::string description_json(const Op& op) {
  nlohmann::ordered_json attributes = nlohmann::ordered_json::array(), kinds = nlohmann::ordered_json::array();
  for (const AttributeSpec& a : op.attributes) attributes.push_back(as_json(a));
  for (const CaseKind& kind : op.kinds)
    kinds.push_back({{"name", kind.name}, {"what", kind.what}, {"sizes", kind.sizes}});
  return nlohmann::ordered_json{{"name", op.name},
                                {"what", op.what},
                                {"contract", op.contract},
                                {"inputs", as_json(op.inputs)},
                                {"outputs", as_json(op.outputs)},
                                {"attributes", attributes},
                                {"kinds", kinds}}
      .dump();
}

}  // namespace dsv3::oracle
