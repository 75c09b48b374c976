// SPDX-License-Identifier: MIT
// Any bytes are a safetensors file or an error; what is accepted covers the data exactly and can be read.
#include <cstdlib>

#include "reference/checkpoint/safetensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dsv3;
  const std::span<const std::byte> file = std::as_bytes(std::span(data, size));
  try {
    const SafetensorsContents contents = parse_safetensors(file, "input");
    std::size_t covered = 0;
    for (const auto& [name, view] : contents.tensors) {
      covered += view.bytes.size();
      try {
        if (is_plain_float(view.dtype)) to_matrix(view);
        else to_integers(view);
      } catch (const std::runtime_error&) {
      }
    }
    std::uint64_t header = 0;
    for (std::size_t i = 0; i < 8; ++i) header |= std::uint64_t{data[i]} << (8 * i);
    if (8 + header + covered != size) std::abort();
  } catch (const std::runtime_error&) {
  }
  return 0;
}
