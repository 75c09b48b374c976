// SPDX-License-Identifier: MIT
/// \file
/// Tiles of codes as the innermost loops of FP8 products want them, and those loops.
#pragma once
#include <array>
#include <vector>

#include "reference/linear/fp8_operand.hpp"
#include "reference/linear/tensor_core.hpp"

namespace dsv3 {

inline constexpr Index fp8_panel = 16;  ///< columns of a panel

/// The values of an operand's codes, by arithmetic where its format and its codes allow that.
class Decoder {
 public:
  /// Sign, exponent, fraction, as FP32 has them; shift 0: otherwise, decode by table.
  struct Layout {
    int shift = 0;          ///< of the fraction to where FP32 has it
    std::int32_t bias = 0;  ///< added to the exponent, in place
    float smallest_normal = 0;
  };

  /// `finite_only`: NaN and infinities become 0.
  Decoder(const Fp8Operand& operand, bool finite_only);
  void operator()(float* to, const std::uint8_t* codes, Index count) const;
  /// `depth` rows of a panel; their codes lie `apart` from each other.
  void decode_panel(float* to, const std::uint8_t* codes, Index apart, Index depth) const;
  bool has_specials() const { return has_specials_; }  ///< is any code of the operand NaN or infinite

 private:
  std::array<float, 256> values_;
  bool has_specials_ = false;
  Layout layout_;
};

/// The rows of a tile, one block of the depth: element (r, k) is a[r * step + k * step_k].
struct PackedRows {
  std::vector<float> a;
  std::vector<std::int8_t> exponents;  ///< of each element, for Sum::aligned
  Index step = 0, step_k = 0;
};

/// `rows` rows of a from `first` on, k0 .. k0 + depth - 1.
void pack_rows(PackedRows& to, const Decoder& decode, const Fp8Part& a, Index first, Index rows, Index k0, Index depth);

/// `cols` columns of the product from `first` on, which are rows of b: b[k * fp8_panel + j], of no meaning from cols
/// on.
void pack_columns(std::vector<float>& to, const Decoder& decode, const Fp8Part& b, Index first, Index cols, Index k0,
                  Index depth);

/// floor(log2 |value|), at least `min_exponent`; zero_exponent for 0.
void exponents_of(std::vector<std::int8_t>& to, const std::vector<float>& values, int min_exponent);
inline constexpr int zero_exponent = -60;  ///< two of them lie below every product's, and fit eight bits

/// One block of the depth of one panel: sums[r * fp8_panel + j] over k, begun at 0 or gone on from what is there.
struct PanelBlock {
  Index rows, depth;
  const PackedRows& a;
  const float* b;
  const std::int8_t* b_exponents;
  float* sums;
  bool go_on;
};

void chain_panel(const Accumulation& how, const PanelBlock& block);    ///< Sum::fp32_chain
void aligned_panel(const Accumulation& how, const PanelBlock& block);  ///< Sum::aligned, finite values only
void exact_panel(const Accumulation& how, const PanelBlock& block);    ///< Sum::exact, finite values only, from 0

}  // namespace dsv3
