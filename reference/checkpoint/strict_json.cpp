// SPDX-License-Identifier: MIT
#include "reference/checkpoint/strict_json.hpp"

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "reference/core/require.hpp"

namespace dsv3 {

using nlohmann::json;

nlohmann::json parse_strict_json(std::string_view text, const std::string& where) {
  constexpr std::size_t max_bytes = 100'000'000;
  constexpr int max_depth = 64;
  require_world(text.size() <= max_bytes, where, "JSON of ", text.size(), " bytes; at most ", max_bytes, " are read");
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto check = [&](int depth, json::parse_event_t event, json& value) {
    require_world(depth <= max_depth, where, "JSON of more than ", max_depth, " levels");
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key) {
      const auto& key = value.get_ref<const std::string&>();
      require_world(keys.back().insert(key).second, where, "the key ", in_quotes(key), " appears twice");
    }
    return true;
  };
  try {
    return json::parse(text, check);
  } catch (const json::exception& error) {
    std::string_view why = error.what();  // "[json.exception.parse_error.101] parse error at line 2, column 7: ..."
    if (const auto end = why.find("] "); end != why.npos) why.remove_prefix(end + 2);
    throw std::runtime_error(concat(where, ": not JSON: ", why.substr(0, 300)));
  }
}

std::string in_quotes(std::string_view name) {
  const bool cut = name.size() > 200;
  const json text = std::string(name.substr(0, 200)) + (cut ? "..." : "");
  return text.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace dsv3
