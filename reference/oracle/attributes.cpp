// SPDX-License-Identifier: MIT
#include "reference/oracle/attributes.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

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

/// The ends of a range, whole ones as whole numbers.
std::string end(double x) {
  const auto whole = whole_number(x);
  return text(whole && std::abs(x) <= 0x1p31 ? Attribute(*whole) : Attribute(x));
}

bool is_inside(double x, const AttributeSpec& spec) {
  return std::isfinite(x) && (spec.above_least ? x > spec.least : x >= spec.least) &&
         (spec.below_most ? x < spec.most : x <= spec.most);
}

bool fits(const Attribute& value, const AttributeSpec& spec) {
  if (value.index() != spec.fallback.index()) return false;
  if (const auto* word = std::get_if<std::string>(&value))
    return spec.choices.empty() || std::ranges::find(spec.choices, *word) != spec.choices.end();
  if (const auto* whole = std::get_if<Index>(&value)) return is_inside(static_cast<double>(*whole), spec);
  if (const auto* x = std::get_if<double>(&value)) return is_inside(*x, spec);
  return true;
}

/// A whole number where a real one is wanted is one, 4.0 is a whole number, and 0 may have a word.
Attribute converted(const Attribute& value, const AttributeSpec& spec) {
  if (const auto* whole = std::get_if<Index>(&value); whole && std::holds_alternative<double>(spec.fallback))
    return static_cast<double>(*whole);
  if (const auto whole = whole_number(value); whole && std::holds_alternative<Index>(spec.fallback)) return *whole;
  if (!spec.zero.empty() && value == Attribute(spec.zero)) return Index{0};
  return value;
}

void require_fits(const Attribute& value, const AttributeSpec& spec, const std::string& where) {
  require(fits(value, spec), where, spec.name, " is ", in_quotes(text(value)), "; it must be ", needed(spec));
}

}  // namespace

std::string needed(const AttributeSpec& spec) {
  if (std::holds_alternative<bool>(spec.fallback)) return "true or false";
  if (std::holds_alternative<std::string>(spec.fallback)) return "one of " + joined(spec.choices);
  const std::string kind = std::holds_alternative<Index>(spec.fallback) ? "a whole number" : "a number";
  const bool begins = std::isfinite(spec.least), ends = std::isfinite(spec.most);
  if (begins && ends && !spec.above_least && !spec.below_most)
    return concat(kind, " from ", end(spec.least), " to ", end(spec.most), spec.zero.empty() ? "" : " or ", spec.zero);
  std::string range;
  if (begins) range = concat(spec.above_least ? " above " : " of at least ", end(spec.least));
  if (ends) range += concat(begins ? " and" : "", spec.below_most ? " below " : " at most ", end(spec.most));
  return range.empty() ? kind + ", finite" : kind + range;
}

std::optional<Index> whole_number(const Attribute& value) {
  if (const auto* whole = std::get_if<Index>(&value)) return *whole;
  const auto* x = std::get_if<double>(&value);
  if (x == nullptr || std::abs(*x) > 0x1p53 || *x != std::trunc(*x)) return std::nullopt;  // NaN is not what it is
  return static_cast<Index>(*x);
}

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

Attribute number_or_word(const std::string& word) {
  if (const auto whole = number_from<Index>(word)) return *whole;
  if (const auto x = number_from<double>(word)) return *x;
  return word;
}

Attribute attribute_from(const std::string& word, const AttributeSpec& spec, const std::string& where) {
  Attribute value = word;
  if (std::holds_alternative<bool>(spec.fallback) && (word == "true" || word == "false")) value = word == "true";
  else if (!std::holds_alternative<std::string>(spec.fallback)) value = number_or_word(word);
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
  require_world(object.is_object(), where, "attributes are of type ", object.type_name(), "; an object is needed");
  Attributes all;
  for (const auto& [name, value] : object.items()) {
    if (value.is_boolean()) all[name] = value.get<bool>();
    else if (value.is_number_integer() && value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX)
      all[name] = value.get<double>();
    else if (value.is_number_integer()) all[name] = value.get<Index>();
    else if (value.is_number()) all[name] = value.get<double>();
    else if (value.is_string()) all[name] = value.get<std::string>();
    else
      require_world(false, where, in_quotes(name), " is of type ", value.type_name(),
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
