// SPDX-License-Identifier: MIT
/// \file
/// JSON from outside: what a lenient parser lets pass is refused. Include this in .cpp files only.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace dsv3 {

/// Throws std::runtime_error "WHERE: ..." for what is not JSON (with the parser's words and the place), for a key that
/// appears twice in one object, and for more than 64 levels or 100 MB.
nlohmann::json parse_strict_json(std::string_view text, const std::string& where);

/// A name from outside, for a message: in quotes, control characters escaped, at most 200 characters.
std::string in_quotes(std::string_view name);

}  // namespace dsv3
