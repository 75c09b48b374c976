// SPDX-License-Identifier: MIT
#include "reference/oracle/settings.hpp"

#include <algorithm>

#include "reference/checkpoint/strict_json.hpp"
#include "reference/core/require.hpp"
#include "reference/oracle/joined.hpp"

namespace dsv3::oracle {

Settings settings_of(const Op& op, const Attributes& given) {
  Settings settings;
  for (const auto& [name, value] : given) {
    if (std::ranges::find(op.attributes, name, &AttributeSpec::name) != op.attributes.end()) {
      settings.attributes[name] = value;
      continue;
    }
    const Sizes& sizes = op.kinds.front().sizes;
    require(sizes.contains(name), "oracle " + op.name, "there is no size or attribute ", in_quotes(name),
            "; the sizes are ", joined(sizes, &Sizes::value_type::first), ", the attributes ",
            op.attributes.empty() ? "none" : joined(op.attributes, &AttributeSpec::name));
    const std::optional<Index> size = whole_number(value);
    require(size.has_value(), "oracle " + op.name, name, " is ", in_quotes(text(value)),
            "; it must be a whole number from 0 to 2^31");
    settings.sizes[name] = *size;
  }
  return settings;
}

}  // namespace dsv3::oracle
