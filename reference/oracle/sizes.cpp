// SPDX-License-Identifier: MIT
#include "reference/oracle/sizes.hpp"

#include <algorithm>
#include <cctype>
#include <stdexcept>

#include "reference/checkpoint/safetensors.hpp"
#include "reference/oracle/joined.hpp"

namespace dsv3::oracle {
namespace {

/// Recursive descent over one expression.
class Reader {
 public:
  Reader(std::string_view all, const Sizes& sizes) : all_(all), rest_(all), sizes_(sizes) {}
  Index whole() {
    const Index value = sum();
    if (!rest_.empty()) fail();
    return value;
  }

 private:
  Index sum() {
    Index value = product();
    for (;;)
      if (take("+")) value += product();
      else if (take("-")) value = std::max<Index>(value - product(), 0);
      else return value;
  }
  Index product() {
    Index value = atom();
    while (take("*")) value *= atom();
    return value;
  }
  Index atom() {
    if (take("ceil(")) {
      const Index a = sum();
      expect("/");
      const Index b = sum();
      expect(")");
      return b == 0 ? 0 : (a + b - 1) / b;
    }
    if (take("(")) {
      const Index value = sum();
      expect(")");
      return value;
    }
    const std::string_view word = rest_.substr(0, word_length());
    if (word.empty()) fail();
    rest_.remove_prefix(word.size());
    if (std::isdigit(static_cast<unsigned char>(word[0]))) return std::stoll(std::string(word));
    const auto found = sizes_.find(word);
    if (found == sizes_.end()) fail();
    return found->second;
  }
  std::size_t word_length() const {
    std::size_t n = 0;
    while (n < rest_.size() && (std::isalnum(static_cast<unsigned char>(rest_[n])) || rest_[n] == '_')) ++n;
    return n;
  }
  bool take(std::string_view token) {
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  void expect(std::string_view token) {
    if (!take(token)) fail();
  }
  [[noreturn]] void fail() const {
    throw std::logic_error(concat("oracle: no size for '", rest_, "' of '", all_, "'"));
  }

  std::string_view all_, rest_;
  const Sizes& sizes_;
};

bool stands_alone(std::string_view expression) {
  if (expression.empty() || std::isdigit(static_cast<unsigned char>(expression[0]))) return false;
  for (const char c : expression)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_') return false;
  return true;
}

}  // namespace

Index size_of(std::string_view expression, const Sizes& sizes) { return Reader(expression, sizes).whole(); }

std::vector<Index> shape_of(const ShapeText& shape, const Sizes& sizes) {
  std::vector<Index> out;
  for (const std::string& dimension : shape) out.push_back(size_of(dimension, sizes));
  return out;
}

std::string text(const ShapeText& shape) { return "[" + joined(shape) + "]"; }

std::string bind(const ShapeText& shape, const std::vector<Index>& found, Sizes& sizes) {
  if (found.size() != shape.size())
    return concat("is ", shape_text(found), "; it must be ", text(shape), ", ", shape.size(),
                  shape.size() == 1 ? " dimension" : " dimensions");
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (stands_alone(shape[i])) sizes.try_emplace(shape[i], found[i]);
    const Index needed = size_of(shape[i], sizes);
    if (needed != found[i]) {
      return concat("is ", shape_text(found), "; ", text(shape), " needs ", shape[i], " = ", needed, " in place ",
                    i + 1);
    }
  }
  return {};
}

}  // namespace dsv3::oracle
