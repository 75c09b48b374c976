// SPDX-License-Identifier: MIT
#include "reference/oracle/attributes.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "reference/checkpoint/strict_json.hpp"
#include "reference/core/require.hpp"
#include "reference/oracle/joined.hpp"

namespace dsv3::oracle {
namespace {

template <class T>
std::optional<T> number_from(const std::string& word) {
  T value{};
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  return value;
}

std::string needed(const AttributeSpec& spec) {
  if (std::holds_alternative<bool>(spec.fallback)) return "true or false";
  if (std::holds_alternative<std::string>(spec.fallback)) return "one of " + joined(spec.choices);
  const char* const kind = std::holds_alternative<Index>(spec.fallback) ? "a whole number" : "a number";
  return concat(kind, " from ", text(spec.least), " to ", text(spec.most));
}

bool fits(const Attribute& value, const AttributeSpec& spec) {
  if (value.index() != spec.fallback.index()) return false;
  if (const auto* word = std::get_if<std::string>(&value))
    return spec.choices.empty() || std::ranges::find(spec.choices, *word) != spec.choices.end();
  if (const auto* whole = std::get_if<Index>(&value))
    return static_cast<double>(*whole) >= spec.least && static_cast<double>(*whole) <= spec.most;
  if (const auto* x = std::get_if<double>(&value)) return *x >= spec.least && *x <= spec.most;  // not NaN
  return true;
}

/// A whole number where a real one is wanted is one.
Attribute converted(const Attribute& value, const AttributeSpec& spec) {
  const bool wanted = std::holds_alternative<double>(spec.fallback);
  if (const auto* whole = std::get_if<Index>(&value); whole && wanted) return static_cast<double>(*whole);
  return value;
}

void require_fits(const Attribute& value, const AttributeSpec& spec, const std::string& where) {
  require(fits(value, spec), where, spec.name, " is ", in_quotes(text(value)), "; it must be ", needed(spec));
}

}  // namespace

std::string text(const Attribute& value) {
  struct {
    std::string operator()(bool x) const { return x ? "true" : "false"; }
    std::string operator()(Index x) const { return std::to_string(x); }
    std::string operator()(double x) const {
      std::array<char, 32> digits;  // the fewest that give x back
      return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), x).ptr};
    }
    std::string operator()(const std::string& x) const { return x; }
  } const to_text;
  return std::visit(to_text, value);
}

Attribute attribute_from(const std::string& word, const AttributeSpec& spec, const std::string& where) {
  Attribute value = word;
  if (std::holds_alternative<bool>(spec.fallback) && (word == "true" || word == "false")) value = word == "true";
  if (const auto whole = number_from<Index>(word); whole && !std::holds_alternative<std::string>(spec.fallback))
    value = *whole;
  else if (const auto x = number_from<double>(word); x && std::holds_alternative<double>(spec.fallback)) value = *x;
  value = converted(value, spec);
  require_fits(value, spec, where);
  return value;
}

Attributes complete(const Attributes& given, const std::vector<AttributeSpec>& specs, const std::string& where) {
  Attributes all;
  for (const AttributeSpec& spec : specs) {
    const auto found = given.find(spec.name);
    const Attribute value = found == given.end() ? spec.fallback : converted(found->second, spec);
    require_fits(value, spec, where);
    all[spec.name] = value;
  }
  for (const auto& [name, value] : given)
    require(all.contains(name), where, "there is no attribute ", in_quotes(name), "; ",
            specs.empty() ? "it has none" : "it has " + joined(specs, &AttributeSpec::name));
  return all;
}

Attributes attributes_from_json(std::string_view json, const std::string& where) {
  const nlohmann::json object = parse_strict_json(json, where);
  require_world(object.is_object(), where, "attributes are a ", object.type_name(), "; an object is needed");
  Attributes all;
  for (const auto& [name, value] : object.items()) {
    if (value.is_boolean()) all[name] = value.get<bool>();
    else if (value.is_number_integer() && value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX)
      all[name] = value.get<double>();
    else if (value.is_number_integer()) all[name] = value.get<Index>();
    else if (value.is_number()) all[name] = value.get<double>();
    else if (value.is_string()) all[name] = value.get<std::string>();
    else
      require_world(false, where, in_quotes(name), " is a ", value.type_name(),
                    "; a number, a text, true or false is needed");
  }
  return all;
}

std::string to_json(const Attributes& attributes) {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  for (const auto& [name, value] : attributes)
    std::visit([&object = object, &key = name](const auto& x) { object[key] = x; }, value);
  return object.dump();
}

}  // namespace dsv3::oracle
