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
    const std::optional<Index> size = whole_number(value);
    require(size.has_value(), "oracle " + op.name, in_quotes(name), " is ", in_quotes(text(value)),
            "; it is no attribute, and a size is a whole number");
    settings.sizes[name] = *size;
  }
  return settings;
}

}  // namespace dsv3::oracle
