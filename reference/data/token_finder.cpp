// SPDX-License-Identifier: MIT
#include "reference/data/token_finder.hpp"

#include <algorithm>

#include "reference/core/require.hpp"

namespace dsv3 {

bool TokenFinder::add(std::string_view content, Token token) {
  require(!content.empty(), "TokenFinder::add", "token ", token, " has no content; at least one byte is needed");
  if (!tokens_.emplace(content, token).second) return false;
  first_bytes_.set(static_cast<unsigned char>(content[0]));
  const auto place = std::lower_bound(sizes_.begin(), sizes_.end(), content.size(), std::greater<>());
  if (place == sizes_.end() || *place != content.size()) sizes_.insert(place, content.size());
  return true;
}

TokenFinder::Found TokenFinder::next(std::string_view text, std::size_t from) const {
  if (!tokens_.empty()) {
    for (std::size_t at = from; at < text.size(); ++at) {
      if (!first_bytes_[static_cast<unsigned char>(text[at])]) continue;
      for (const std::size_t size : sizes_) {
        if (size > text.size() - at) continue;
        const auto found = tokens_.find(text.substr(at, size));
        if (found != tokens_.end()) return {at, size, found->second};
      }
    }
  }
  return {text.size(), 0, 0};
}

}  // namespace dsv3
