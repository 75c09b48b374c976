// SPDX-License-Identifier: MIT
// Any text is a config.json or an error; what is accepted can be written and reads back as the same model.
#include <cstdlib>

#include "reference/checkpoint/hf_config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dsv3;
  try {
    const HfConfig config = parse_hf_config({reinterpret_cast<const char*>(data), size}, "input");
    const HfConfig again = parse_hf_config(hf_config_text(config.model, Dtype::bf16), "written");
    if (!(again.model == config.model)) std::abort();
  } catch (const std::runtime_error& error) {
    if (std::string_view(error.what()).starts_with("written")) std::abort();
  }
  return 0;
}
