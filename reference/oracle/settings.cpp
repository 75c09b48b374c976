// SPDX-License-Identifier: MIT
#include "reference/oracle/settings.hpp"

#include <algorithm>

#include "reference/checkpoint/strict_json.hpp"
#include "reference/core/require.hpp"

namespace dsv3::oracle {

Settings settings_of(const Op& op, const Attributes& given) {
  Settings settings;
  for (const auto& [name, value] : given) {
    if (std::ranges::find(op.attributes, name, &AttributeSpec::name) != op.attributes.end()) {
      settings.attributes[name] = value;
      continue;
    }
    const Index* const size = std::get_if<Index>(&value);
    require(size != nullptr, "oracle " + op.name, in_quotes(name), " is ", in_quotes(text(value)),
            "; it is no attribute, and a size is a whole number");
    settings.sizes[name] = *size;
  }
  return settings;
}

}  // namespace dsv3::oracle
