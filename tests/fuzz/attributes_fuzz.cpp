// SPDX-License-Identifier: MIT
// Any text is the attributes of an op or an error; what is accepted can be written and reads back as the same.
#include <cstdlib>

#include "reference/oracle/registry.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dsv3::oracle;
  Attributes given;
  try {
    given = attributes_from_json({reinterpret_cast<const char*>(data), size}, "input");
  } catch (const std::runtime_error&) {
    return 0;
  }
  if (attributes_from_json(to_json(given), "written") != given) std::abort();
  for (const Op& op : registry()) {
    try {
      const Attributes all = complete(given, op.attributes, op.name);
      if (complete(all, op.attributes, op.name) != all) std::abort();
    } catch (const std::invalid_argument&) {
    }
  }
  return 0;
}
