// SPDX-License-Identifier: MIT
/// \file
/// How many bytes of values a plain struct holds, straight from its fields: the memory column of Table 2.
#pragma once
#include <concepts>
#include <cstddef>
#include <type_traits>
#include <vector>

#include "reference/core/matrix.hpp"

namespace dsv3 {
namespace detail {

struct Anything {
  template <class T>
  operator T() const;  // never defined: only asked whether a field could be made from it
};

template <class T, class... Fields>
constexpr std::size_t count_fields() {
  if constexpr (requires { T{Fields{}..., Anything{}}; }) return count_fields<T, Fields..., Anything>();
  else return sizeof...(Fields);
}

}  // namespace detail

template <class T>
std::size_t bytes_of(const T& value);

template <class... T>
std::size_t bytes_of_all(const T&... fields) {
  return (std::size_t{0} + ... + bytes_of(fields));
}

/// Values behind matrices and vectors in the fields of `value`, to any depth; at most 14 fields in a struct.
template <class T>
std::size_t bytes_of(const T& value) {  // NOLINT(readability-function-size): one branch for each number of fields
  if constexpr (requires {
                  { value.bytes() } -> std::convertible_to<std::size_t>;
                }) {
    return value.bytes();
  } else if constexpr (requires {
                         value.derived();
                         value.data();
                       }) {
    return static_cast<std::size_t>(value.size()) * sizeof(*value.data());
  } else if constexpr (requires {
                         value.begin();
                         value.capacity();
                       }) {
    if constexpr (std::is_arithmetic_v<typename T::value_type>) return value.size() * sizeof(typename T::value_type);
    std::size_t total = 0;
    for (const auto& element : value) total += bytes_of(element);
    return total;
  } else if constexpr (std::is_scalar_v<T>) {
    return 0;
  } else {
    constexpr std::size_t fields = detail::count_fields<T>();
    static_assert(fields <= 14, "bytes_of knows structs of at most 14 fields");
    if constexpr (fields == 0) return 0;
    if constexpr (fields == 1) {
      const auto& [a] = value;
      return bytes_of_all(a);
    }
    if constexpr (fields == 2) {
      const auto& [a, b] = value;
      return bytes_of_all(a, b);
    }
    if constexpr (fields == 3) {
      const auto& [a, b, c] = value;
      return bytes_of_all(a, b, c);
    }
    if constexpr (fields == 4) {
      const auto& [a, b, c, d] = value;
      return bytes_of_all(a, b, c, d);
    }
    if constexpr (fields == 5) {
      const auto& [a, b, c, d, e] = value;
      return bytes_of_all(a, b, c, d, e);
    }
    if constexpr (fields == 6) {
      const auto& [a, b, c, d, e, f] = value;
      return bytes_of_all(a, b, c, d, e, f);
    }
    if constexpr (fields == 7) {
      const auto& [a, b, c, d, e, f, g] = value;
      return bytes_of_all(a, b, c, d, e, f, g);
    }
    if constexpr (fields == 8) {
      const auto& [a, b, c, d, e, f, g, h] = value;
      return bytes_of_all(a, b, c, d, e, f, g, h);
    }
    if constexpr (fields == 9) {
      const auto& [a, b, c, d, e, f, g, h, i] = value;
      return bytes_of_all(a, b, c, d, e, f, g, h, i);
    }
    if constexpr (fields == 10) {
      const auto& [a, b, c, d, e, f, g, h, i, j] = value;
      return bytes_of_all(a, b, c, d, e, f, g, h, i, j);
    }
    if constexpr (fields == 11) {
      const auto& [a, b, c, d, e, f, g, h, i, j, k] = value;
      return bytes_of_all(a, b, c, d, e, f, g, h, i, j, k);
    }
    if constexpr (fields == 12) {
      const auto& [a, b, c, d, e, f, g, h, i, j, k, l] = value;
      return bytes_of_all(a, b, c, d, e, f, g, h, i, j, k, l);
    }
    if constexpr (fields == 13) {
      const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m] = value;
      return bytes_of_all(a, b, c, d, e, f, g, h, i, j, k, l, m);
    }
    if constexpr (fields == 14) {
      const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = value;
      return bytes_of_all(a, b, c, d, e, f, g, h, i, j, k, l, m, n);
    }
  }
}

}  // namespace dsv3
