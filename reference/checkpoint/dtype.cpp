// SPDX-License-Identifier: MIT
#include "reference/checkpoint/dtype.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "reference/core/require.hpp"
#include "reference/formats/bf16.hpp"

namespace dsv3 {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

namespace {
struct Entry {
  std::string_view name;
  Index bytes;
};
constexpr std::array<Entry, 10> entries = {{{"F64", 8},
                                            {"F32", 4},
                                            {"F16", 2},
                                            {"BF16", 2},
                                            {"F8_E4M3", 1},
                                            {"F8_E5M2", 1},
                                            {"I64", 8},
                                            {"I32", 4},
                                            {"U8", 1},
                                            {"BOOL", 1}}};

const Entry& entry(Dtype dtype) { return entries[static_cast<std::size_t>(dtype)]; }

/// 1 sign, 5 exponent (bias 15), 10 fraction bits.
float float_from_f16(std::uint16_t code) {
  const int exponent = (code >> 10) & 31, fraction = code & 1023;
  const float sign = (code >> 15) != 0 ? -1.0f : 1.0f;
  if (exponent == 31) return fraction != 0 ? std::copysign(NAN, sign) : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
}

template <class Stored, class Convert>
void read_each(const std::byte* bytes, Index count, real* values, const Convert& convert) {
  for (Index i = 0; i < count; ++i) {
    Stored code;
    std::memcpy(&code, bytes + i * static_cast<Index>(sizeof code), sizeof code);
    values[i] = static_cast<real>(convert(code));
  }
}

template <class Convert>
void write_each(const real* values, Index count, std::byte* bytes, const Convert& convert) {
  for (Index i = 0; i < count; ++i) {
    const auto code = convert(values[i]);
    std::memcpy(bytes + i * static_cast<Index>(sizeof code), &code, sizeof code);
  }
}
}  // namespace

std::string_view name(Dtype dtype) { return entry(dtype).name; }

std::optional<Dtype> dtype_by_name(std::string_view name) {
  for (std::size_t i = 0; i < entries.size(); ++i)
    if (entries[i].name == name) return static_cast<Dtype>(i);
  return std::nullopt;
}

Index element_bytes(Dtype dtype) { return entry(dtype).bytes; }

bool is_plain_float(Dtype dtype) {
  return dtype == Dtype::f64 || dtype == Dtype::f32 || dtype == Dtype::f16 || dtype == Dtype::bf16;
}

void values_from_bytes(Dtype dtype, const std::byte* bytes, Index count, real* values) {
  const auto itself = [](auto value) { return value; };
  switch (dtype) {
    case Dtype::f64:
      return read_each<double>(bytes, count, values, itself);
    case Dtype::f32:
      return read_each<float>(bytes, count, values, itself);
    case Dtype::f16:
      return read_each<std::uint16_t>(bytes, count, values, float_from_f16);
    case Dtype::bf16:
      return read_each<std::uint16_t>(bytes, count, values, float_from_bf16);
    default:
      require(false, "values_from_bytes", name(dtype), " is not a plain floating-point type");
  }
}

void bytes_from_values(Dtype dtype, const real* values, Index count, std::byte* bytes) {
  switch (dtype) {
    case Dtype::f64:
      return write_each(values, count, bytes, [](real x) { return static_cast<double>(x); });
    case Dtype::f32:
      return write_each(values, count, bytes, [](real x) { return static_cast<float>(x); });
    case Dtype::bf16:
      return write_each(values, count, bytes, [](real x) { return bf16_from_float(static_cast<float>(x)); });
    default:
      require(false, "bytes_from_values", name(dtype), " cannot be written; F64, F32 or BF16 are needed");
  }
}

}  // namespace dsv3
