// SPDX-License-Identifier: MIT
/// \file
/// The numbers and names an op is called with beside its tensors.
#pragma once
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "reference/core/real.hpp"

namespace dsv3::oracle {

using Attribute = std::variant<bool, Index, double, std::string>;
using Attributes = std::map<std::string, Attribute, std::less<>>;

/// One attribute of an op. Its type is that of `fallback`, which it has where nobody says otherwise.
struct AttributeSpec {
  std::string name;
  Attribute fallback;
  std::string what;
  std::vector<std::string> choices = {};  ///< of a text; the first one need not be the fallback
  double least = -std::numeric_limits<double>::infinity(),
         most = std::numeric_limits<double>::infinity();  ///< of a number, which is finite in any case
  bool above_least = false, below_most = false;           ///< of a number: the end itself is not taken
  std::string zero = {};                                  ///< of a whole number: a word for 0, as `none`
  bool convention = false;                                ///< real systems differ here: `find` tries the other choices
  bool by_rounding = false;            ///< of a convention: its choices differ by roundings, which bounds may allow
  std::vector<Attribute> others = {};  ///< of a number that is a convention: what is in use
};

std::string text(const Attribute& value);  ///< as it is written after "name="

/// What a value must be: "a whole number from 1 to 256", "a number above 0 and at most 1", "one of a, b".
std::string needed(const AttributeSpec& spec);

/// The whole number that a value is: 4, and 4.0 too.
std::optional<Index> whole_number(const Attribute& value);

/// The number that a word spells, a whole one where it is one, else the word.
Attribute number_or_word(const std::string& word);

/// The attribute that `word` spells; 4.0 is a whole number as 4 is. Throws std::invalid_argument "WHERE: NAME is
/// 'WORD'; it must be ..." for what is not of its type, choices or range.
Attribute attribute_from(const std::string& word, const AttributeSpec& spec, const std::string& where);

/// Every attribute of `specs`, from `given` or its fallback. Throws std::invalid_argument naming the first of `given`
/// that there is not, with those there are, or that does not fit.
Attributes complete(const Attributes& given, const std::vector<AttributeSpec>& specs, const std::string& where);

/// A JSON object of booleans, numbers and texts, as the C interface and a case file have it. Throws std::runtime_error
/// "WHERE: ..." for anything else.
Attributes attributes_from_json(std::string_view json, const std::string& where);
std::string to_json(const Attributes& attributes);

}  // namespace dsv3::oracle
