// SPDX-License-Identifier: MIT
#include "reference/linear/tensor_core.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "reference/core/require.hpp"

namespace dsv3 {
namespace {

constexpr NamedAccumulation presets[] = {{"hopper_fp8_wgmma", hopper_fp8_wgmma},
                                         {"ada_fp8", ada_fp8},
                                         {"blackwell_fp8", blackwell_fp8},
                                         {"fp32", fp32_sums},
                                         {"exact", exact_sums}};

/// x without the bits below 2^lowest.
double cut_below(double x, int lowest, Cut cut) {
  const double units = std::ldexp(x, -lowest);
  return std::ldexp(cut == Cut::toward_zero ? std::trunc(units) : std::nearbyint(units), lowest);
}

int exponent_of(float value, int min_exponent) { return std::max(std::ilogb(value), min_exponent); }

Factors part(const Factors& f, std::size_t begin, std::size_t count) {
  return {f.values.subspan(begin, count), f.min_exponent};
}

float exact_sum(const Factors& a, const Factors& b) {
  double whole = 0, fraction = 0;  // of products that are multiples of 2^-32 below 2^32
  for (std::size_t i = 0; i < a.values.size(); ++i) {
    const double product = double{a.values[i]} * b.values[i], nearest = std::nearbyint(product);
    whole += nearest;
    if (std::isfinite(product)) fraction += product - nearest;
  }
  return round_sum_to_float(whole, fraction);
}

float chain(const Factors& a, const Factors& b) {
  float c = 0;
  for (std::size_t i = 0; i < a.values.size(); ++i) c += a.values[i] * b.values[i];
  return c;
}

}  // namespace

std::span<const NamedAccumulation> accumulations() { return presets; }

const Accumulation& accumulation_named(std::string_view name) {
  std::string known;
  for (const auto& [preset_name, preset] : presets) {
    if (preset_name == name) return preset;
    known += concat(known.empty() ? "" : ", ", preset_name);
  }
  throw std::invalid_argument(concat("accumulation: '", name, "' is not one of ", known));
}

void require_accumulation(const Accumulation& how, std::string_view where) {
  const auto within = [&](const char* name, Index value, Index least, Index most) {
    require(least <= value && value <= most, where, name, " is ", value, "; it must be in ", least, " .. ", most);
  };
  within("fraction_bits", how.fraction_bits, 1, 28);
  within("output_fraction_bits", how.output_fraction_bits, 1, 23);
  within("products", how.products, 1, 128);
  within("splits", how.splits, 1, how.products);
  require(how.products % how.splits == 0, where, "splits is ", how.splits, "; it must divide products, ", how.products);
  within("interval", how.interval, 0, std::numeric_limits<Index>::max());
}

float tensor_core_step(const Accumulation& how, float c, const Factors& a, const Factors& b) {
  int E = c == 0 ? std::numeric_limits<int>::min() : std::ilogb(c);
  double special = c;
  for (std::size_t i = 0; i < a.values.size(); ++i) {
    const float product = a.values[i] * b.values[i];
    special += product;
    if (product != 0 && std::isfinite(product))
      E = std::max(E, exponent_of(a.values[i], a.min_exponent) + exponent_of(b.values[i], b.min_exponent));
  }
  if (!std::isfinite(special)) return static_cast<float>(special);
  if (E == std::numeric_limits<int>::min()) return 0;
  const int lowest = E - how.fraction_bits;
  double sum = cut_below(c, lowest, how.align_cut);
  for (std::size_t i = 0; i < a.values.size(); ++i)
    sum += cut_below(double{a.values[i]} * b.values[i], lowest, how.align_cut);
  if (sum == 0) return 0;
  return static_cast<float>(cut_below(sum, std::ilogb(sum) - how.output_fraction_bits, how.output_cut));
}

float sum_of_products(const Accumulation& how, const Factors& a, const Factors& b) {
  if (how.sum == Accumulation::Sum::exact) return exact_sum(a, b);
  if (how.sum == Accumulation::Sum::fp32_chain) return chain(a, b);
  float c = 0;
  const std::size_t size = a.values.size(), together = static_cast<std::size_t>(how.together());
  for (std::size_t i = 0; i < size; i += together) {
    const std::size_t count = std::min(together, size - i);
    c = tensor_core_step(how, c, part(a, i, count), part(b, i, count));
  }
  return c;
}

float round_sum_to_float(double hi, double lo) {
  const double sum = hi + lo;
  if (!std::isfinite(sum)) return static_cast<float>(sum);
  const double part = sum - hi, rest = (hi - (sum - part)) + (lo - part);  // what the addition lost, exact
  auto bits = std::bit_cast<std::int64_t>(sum);
  // Rounded to odd first: 53 bits with the last one set where something was lost decide the rounding to 24.
  if (rest != 0 && bits % 2 == 0) bits += (rest > 0) == (sum > 0) ? 1 : -1;
  return static_cast<float>(std::bit_cast<double>(bits));
}

}  // namespace dsv3
