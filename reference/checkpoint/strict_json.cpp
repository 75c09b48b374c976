// SPDX-License-Identifier: MIT
#include "reference/checkpoint/strict_json.hpp"

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "reference/core/require.hpp"

namespace dsv3 {

using nlohmann::json;

namespace {
constexpr std::size_t max_bytes = 100'000'000;
constexpr std::size_t max_depth = 64;

/// Builds the value from the parser's events. (The library's own builder keeps the last of two equal keys, and with a
/// callback it searches the whole parent at the end of every object: quadratic in the tensors of a header.)
class StrictBuilder final : public json::json_sax_t {
 public:
  explicit StrictBuilder(const std::string& where) : where_(where) {}
  json take() { return std::move(root_); }

  bool null() override { return place(nullptr); }
  bool boolean(bool value) override { return place(value); }
  bool number_integer(json::number_integer_t value) override { return place(value); }
  bool number_unsigned(json::number_unsigned_t value) override { return place(value); }
  bool number_float(json::number_float_t value, const std::string&) override { return place(value); }
  bool string(std::string& value) override { return place(std::move(value)); }
  bool binary(json::binary_t& value) override { return place(std::move(value)); }

  bool start_object(std::size_t) override { return open(json::object()); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(std::string& name) override {
    const auto [entry, is_new] = open_.back()->emplace(name, nullptr);
    require_world(is_new, where_, "the key ", in_quotes(name), " appears twice");
    value_of_key_ = &*entry;
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const json::exception& error) override {
    std::string_view why = error.what();  // "[json.exception.parse_error.101] parse error at line 2, column 7: ..."
    if (const auto end = why.find("] "); end != why.npos) why.remove_prefix(end + 2);
    throw std::runtime_error(concat(where_, ": not JSON: ", why.substr(0, 300)));
  }

 private:
  /// Where the next value belongs: the root, the value of the last key, or one more item.
  json& next_place() {
    if (open_.empty()) return root_;
    if (open_.back()->is_object()) return *value_of_key_;
    return open_.back()->emplace_back();
  }
  bool place(json value) {
    next_place() = std::move(value);
    return true;
  }
  bool open(json empty) {
    require_world(open_.size() < max_depth, where_, "JSON of more than ", max_depth, " levels");
    json& value = next_place();
    value = std::move(empty);
    open_.push_back(&value);
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  const std::string& where_;
  json root_;
  std::vector<json*> open_;  ///< objects and arrays, from the root on; none of them moves while it is open
  json* value_of_key_ = nullptr;
};
}  // namespace

json parse_strict_json(std::string_view text, const std::string& where) {
  require_world(text.size() <= max_bytes, where, "JSON of ", text.size(), " bytes; at most ", max_bytes, " are read");
  StrictBuilder builder(where);
  json::sax_parse(text, &builder);
  return builder.take();
}

std::string in_quotes(std::string_view name) {
  const bool cut = name.size() > 200;
  const json text = std::string(name.substr(0, 200)) + (cut ? "..." : "");
  return text.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace dsv3
