// SPDX-License-Identifier: MIT
#include "reference/cli/devices.hpp"

#include <stdexcept>

#include "reference/linear/fp8_products.hpp"

#ifdef DSV3_HAS_CUDA
#include "cuda/linear/fp8_linear.hpp"
#endif

namespace dsv3::cli {

void offer_devices() {
#ifdef DSV3_HAS_CUDA
  offer_products("cuda", cuda::fp8_products);
#else
  offer_products("cuda", []() -> const Fp8Products* {
    throw std::runtime_error("device 'cuda': this program was built without it; needed are nvcc and a new build");
  });
#endif
}

}  // namespace dsv3::cli
