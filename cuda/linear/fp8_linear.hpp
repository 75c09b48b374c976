// SPDX-License-Identifier: MIT
/// \file
/// The products of a Linear in FP8 on the device, from and to the host's memory.
#pragma once
#include "reference/linear/fp8_products.hpp"

namespace dsv3::cuda {

/// Each product copies its codes and scales to the device, computes there (fp8_gemm, fp8_wgrad) and copies the result
/// back: right before it is fast. \throws std::runtime_error "device 'cuda': ..." where no kernel can run.
const Fp8Products* fp8_products();

}  // namespace dsv3::cuda
