// SPDX-License-Identifier: MIT
/// \file
/// Hostile tokenizer.json files: whatever the bytes, the reader refuses them with an exception or gives a tokenizer
/// that brings every text back. The bytes are used in three ways, so that they get past the first brace: as the file,
/// as a JSON merge patch on a good file, and as a pattern in a good file.
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <nlohmann/json.hpp>
#include <string_view>

#include "reference/data/tokenizer_json.hpp"

using namespace dsv3;

namespace {

using Json = nlohmann::json;

const Json& good_file() {
  static const Json file = [] {
    const std::vector<std::string_view> text = {"the cat and the other cat and another hat 123 the end"};
    return Json::parse(tokenizer_json(train_tokenizer(text, {.vocab_size = 280})));
  }();
  return file;
}

void must_hold(bool ok) {
  if (!ok) std::abort();
}

void check(const std::string& file, std::string_view text) try {
  const Tokenizer tokenizer = parse_tokenizer_json(file);
  must_hold(parse_tokenizer_json(tokenizer_json(tokenizer)).data() == tokenizer.data());
  for (const std::string_view t : {text, std::string_view("the cat  \r\n 12345 \xE4\xB8\xAD\xFF<\x00>", 25)}) {
    must_hold(tokenizer.decode(tokenizer.encode(t)) == t);
    must_hold(tokenizer.decode(tokenizer.encode_ordinary(t)) == t);
  }
} catch (const std::runtime_error&) {  // refused, or a pattern that takes too many steps; anything else is a failure
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check(std::string(bytes), bytes);
  const Json patch = Json::parse(bytes, nullptr, false);
  if (!patch.is_discarded()) {
    Json file = good_file();
    file.merge_patch(patch);
    check(file.dump(), bytes);
  }
  Json file = good_file();
  const std::string pattern(bytes);
  Json& rule = file["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"];
  rule = pattern;
  try {
    check(file.dump(), bytes);
  } catch (const Json::type_error&) {  // not UTF-8: no such file can be written
  }
  return 0;
}
