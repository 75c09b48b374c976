// SPDX-License-Identifier: MIT
#include "reference/checkpoint/json_fields.hpp"

#include "reference/checkpoint/strict_json.hpp"
#include "reference/core/require.hpp"

namespace dsv3 {

using nlohmann::json;

JsonFields::JsonFields(const json& object, std::string where) : object_(object), where_(std::move(where)) {
  require_world(object.is_object(), where_, "a JSON object is needed");
}

bool JsonFields::has(const std::string& key) {
  asked_.insert(key);
  const auto found = object_.find(key);
  return found != object_.end() && !found->is_null();
}

void JsonFields::check(bool ok, const std::string& key, const std::string& needed) const {
  if (ok) return;
  const auto found = object_.find(key);
  const std::string is = found == object_.end() ? "is absent" : "is " + found->dump().substr(0, 100);
  throw std::runtime_error(concat(where_, ": ", key, ' ', is, "; ", needed));
}

const json& JsonFields::at(const std::string& key) {
  check(has(key), key, "a value is needed");
  return object_.at(key);
}

Index JsonFields::integer(const std::string& key, Index low, Index high) {
  const json& value = at(key);
  const bool ok = value.is_number_integer() && value >= low && value <= high;
  check(ok, key, concat("a whole number from ", low, " to ", high, " is needed"));
  return value.get<Index>();
}

std::uint64_t JsonFields::natural(const std::string& key) {
  const json& value = at(key);
  check(value.is_number_unsigned(), key, "a whole number from 0 to 2^64 - 1 is needed");
  return value.get<std::uint64_t>();
}

double JsonFields::number(const std::string& key, double low, double high) {
  const json& value = at(key);
  const bool ok = value.is_number() && value.get<double>() >= low && value.get<double>() <= high;
  check(ok, key, concat("a number from ", low, " to ", high, " is needed"));
  return value.get<double>();
}

bool JsonFields::boolean(const std::string& key) {
  const json& value = at(key);
  check(value.is_boolean(), key, "true or false is needed");
  return value.get<bool>();
}

bool JsonFields::boolean(const std::string& key, bool if_absent) { return has(key) ? boolean(key) : if_absent; }

std::string JsonFields::text(const std::string& key) {
  const json& value = at(key);
  check(value.is_string(), key, "a string is needed");
  return value.get<std::string>();
}

const json& JsonFields::object(const std::string& key) {
  const json& value = at(key);
  check(value.is_object(), key, "an object is needed");
  return value;
}

void JsonFields::refuse_others(const std::set<std::string>& harmless) const {
  std::string unknown;
  for (const auto& [key, value] : object_.items())
    if (!asked_.contains(key) && !harmless.contains(key)) unknown += (unknown.empty() ? "" : ", ") + in_quotes(key);
  require_world(unknown.empty(), where_,
                "fields that are not known and could change the numbers: ", unknown.substr(0, 1000));
}

}  // namespace dsv3
