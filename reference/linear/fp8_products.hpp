// SPDX-License-Identifier: MIT
/// \file
/// Who computes the products of codes: this CPU, or a device that has been offered under a name.
#pragma once
#include <functional>
#include <string>

#include "reference/linear/fp8_gemm.hpp"
#include "reference/linear/precision.hpp"

namespace dsv3 {

/// The three products of a Linear somewhere else, of operands in E4M3: activations and gradients in tiles of 1x128 (F,
/// B) or 128x1 (W), weights in blocks of 128x128. Sums are those of its tensor core, promoted every 128; y and dx are
/// rounded to BF16. Called from several threads at once.
class Fp8Products {
 public:
  virtual ~Fp8Products() = default;
  virtual std::string name() const = 0;  ///< of the device, for people
  virtual void fprop(FloatOut y, const Quantised& x, const Quantised& W) const = 0;
  virtual void dgrad(FloatOut dx, const Quantised& dy, const Quantised& W) const = 0;
  virtual void wgrad(FloatOut dW, const Quantised& dy, const Quantised& x) const = 0;
};

/// Makes a device known. `open` is called when it is first asked for, and throws where it cannot be had.
void offer_products(const std::string& device, std::function<const Fp8Products*()> open);

/// Those of a device: null for "cpu". \throws std::invalid_argument with the names there are; what `open` throws.
const Fp8Products* products_of(const std::string& device);

/// That precision on that device. \throws std::invalid_argument where the device is not "cpu" and the precision is not
/// fp8 as the report has it: E4M3 everywhere, fine-grained, summed as `fp8` or `hopper` do.
Precision on_device(Precision precision, const std::string& device);

}  // namespace dsv3
