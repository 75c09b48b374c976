// SPDX-License-Identifier: MIT
#include "reference/linear/fp8_products.hpp"

#include <map>

#include "reference/core/require.hpp"

namespace dsv3 {
namespace {

using Open = std::function<const Fp8Products*()>;

std::map<std::string, Open>& offered() {
  static std::map<std::string, Open> all{{"cpu", [] { return nullptr; }}};
  return all;
}

bool is_the_reports(const Fp8Recipe& r) {
  const bool sums = r.arithmetic.accumulation == fp32_sums || r.arithmetic.accumulation == hopper_fp8_wgmma;
  return r.scaling == Scaling::fine_grained && r.dgrad_groups == tile_1x128 && r.forward == FormatId::e4m3 &&
         r.gradient == FormatId::e4m3 && sums;
}

}  // namespace

void offer_products(const std::string& device, Open open) { offered()[device] = std::move(open); }

const Fp8Products* products_of(const std::string& device) {
  const auto found = offered().find(device);
  std::string names;
  for (const auto& [name, open] : offered()) names += (names.empty() ? "" : " or ") + name;
  require(found != offered().end(), "device", "there is no device '", device, "'; it must be ", names);
  return found->second();
}

Precision on_device(Precision precision, const std::string& device) {
  const Fp8Products* const products = products_of(device);
  require(products == nullptr || (precision == Precision::fp8 && is_the_reports(precision.recipe)), "device",
          "products on '", device, "' are those of fp8 as the report has it; needed is precision fp8 or fp8:hopper");
  precision.recipe.products = products;
  return precision;
}

}  // namespace dsv3
