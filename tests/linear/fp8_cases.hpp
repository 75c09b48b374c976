// SPDX-License-Identifier: MIT
/// \file
/// Formats and matrices of codes that products of FP8 are tested with.
#pragma once
#include <array>
#include <bit>
#include <string>

#include "reference/core/random.hpp"
#include "tests/linear/fp8_twin.hpp"

namespace dsv3::test {

/// What codes are like.
enum class Data { any, finite, subnormal, spread, largest, normal, positive, cancelling };
inline constexpr std::array all_data{Data::any,     Data::finite, Data::subnormal, Data::spread,
                                     Data::largest, Data::normal, Data::positive,  Data::cancelling};

inline bool is_finite(FormatId f, std::uint8_t code) { return std::isfinite(values_of(f)[code]); }

/// The code nearest to x (ties: any).
inline std::uint8_t nearest_code(FormatId f, double x) {
  const std::array<float, 256>& values = values_of(f);
  std::uint8_t best = 0;
  for (int code = 0; code < 256; ++code)
    if (is_finite(f, static_cast<std::uint8_t>(code)) && std::abs(values[code] - x) < std::abs(values[best] - x))
      best = static_cast<std::uint8_t>(code);
  return best;
}

inline std::uint8_t random_code(FormatId f, Data data, Index row, Index col, Random& random) {
  const int largest = static_cast<int>(format(f).largest_code()), sign = static_cast<int>(random.below(2)) * 128;
  const auto code = [](Index c) { return static_cast<std::uint8_t>(c); };
  switch (data) {
    case Data::any: {  // NaN and infinities in few places
      const Index c = random.below(256);
      return is_finite(f, code(c)) || random.below(20) == 0 ? code(c) : code(0x80);
    }
    case Data::finite:
      return code(random.below(largest + 1) + sign);
    case Data::subnormal:
      return code(random.below(1 << (format(f).fraction_bits + 1)) + sign);
    case Data::spread:  // large ones among the smallest
      return code((random.below(30) == 0 ? largest - random.below(8) : random.below(20)) + sign);
    case Data::largest:
      return code(largest - random.below(2) + sign);
    case Data::normal:
      return nearest_code(f, 100 * random.normal());
    case Data::positive:
      return nearest_code(f, 448 * random.uniform());
    case Data::cancelling:  // each pair of neighbours has two equal factors; both signs
      return code((row * 7 + col / 2 * 13) % (largest + 1) + (col + row % 2 * col / 2) % 2 * 128);
  }
  return 0;
}

inline Coded coded(FormatId format, Index rows, Index cols, Groups groups, Data data, std::uint64_t seed) {
  Random random = stream(seed, static_cast<std::uint64_t>(data));
  Coded m{Codes(rows, cols), Scales((rows + groups.rows - 1) / groups.rows, (cols + groups.cols - 1) / groups.cols),
          groups, format};
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j) m.q(i, j) = random_code(format, data, i, j, random);
  for (float& s : m.s.reshaped())
    s = static_cast<float>(std::ldexp(1 + random.uniform(), static_cast<int>(random.below(12)) - 12));
  return m;
}

/// Empty if x and y agree bit for bit, all NaN being one.
inline std::string different_fp32(Scales x, Scales y) {
  for (Scales* m : {&x, &y})
    for (float& value : m->reshaped())
      if (std::isnan(value)) value = std::numeric_limits<float>::quiet_NaN();
  for (Index i = 0; i < x.rows(); ++i)
    for (Index j = 0; j < x.cols(); ++j)
      if (std::bit_cast<std::uint32_t>(x(i, j)) != std::bit_cast<std::uint32_t>(y(i, j)))
        return "(" + std::to_string(i) + ", " + std::to_string(j) + "): " + std::to_string(x(i, j)) + " and " +
               std::to_string(y(i, j));
  return x.rows() == y.rows() && x.cols() == y.cols() ? "" : "shapes";
}

}  // namespace dsv3::test
