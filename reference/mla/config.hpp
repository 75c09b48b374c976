// SPDX-License-Identifier: MIT
/// \file
/// Sizes of Multi-head Latent Attention, section 2.1.1.
#pragma once
#include "reference/rope/config.hpp"

namespace dsv3 {

struct MlaConfig {
  Index d = 0;          ///< model width
  Index n_h = 0;        ///< attention heads
  Index d_h = 0;        ///< query and key content ("nope") width of a head
  Index d_v = 0;        ///< value width of a head; d_h in the report
  Index d_c = 0;        ///< key/value latent width
  Index d_c_prime = 0;  ///< query latent width; 0: queries straight from h (V2-Lite)
  RopeConfig rope;      ///< rope.width is d_h^R
  double eps = 1e-6;    ///< of the RMSNorm on the two latents
  friend bool operator==(const MlaConfig&, const MlaConfig&) = default;
};

}  // namespace dsv3
