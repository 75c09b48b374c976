// SPDX-License-Identifier: MIT
/// \file
/// Products that kernels of FP8 are tested with: operands as they lie in the device's memory, with poison wherever a
/// kernel must neither read nor write, and what must come out.
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "cuda/linear/fp8_gemm.hpp"
#include "reference/formats/bf16.hpp"
#include "reference/linear/fp8_bounds.hpp"
#include "tests/linear/fp8_cases.hpp"

namespace dsv3::test {

inline constexpr std::uint8_t nan_code = 0x7F;
inline constexpr std::uint16_t unwritten = 0xFFFF;  ///< of a new buffer

/// Codes in rows of `stride` bytes: behind each row NaN codes.
inline std::vector<std::uint8_t> rows_with_poison(const Codes& q, Index stride) {
  std::vector<std::uint8_t> all(static_cast<std::size_t>(q.rows() * stride), nan_code);
  for (Index i = 0; i < q.rows(); ++i)
    for (Index k = 0; k < q.cols(); ++k) all[static_cast<std::size_t>(i * stride + k)] = q(i, k);
  return all;
}

/// Scales [rows, groups] M-major, a group each `stride` values: behind each group NaN.
inline std::vector<float> scales_m_major(const Scales& s, Index stride) {
  std::vector<float> all(static_cast<std::size_t>(s.cols() * stride), std::numeric_limits<float>::quiet_NaN());
  for (Index k = 0; k < s.cols(); ++k)
    for (Index i = 0; i < s.rows(); ++i) all[static_cast<std::size_t>(k * stride + i)] = s(i, k);
  return all;
}

inline Index next_16(Index n) { return (n + 15) / 16 * 16; }

struct GemmShape {
  Index M, N, K;
};

/// An operand pair on the host and on the device. Strides are larger than they need be.
struct GemmCase {
  Coded a, b;
  Index a_stride, b_stride, scales_stride, out_stride;
  cuda::Buffer<std::uint8_t> a_codes, b_codes;
  cuda::Buffer<float> a_scales, b_scales;

  GemmCase(const GemmShape& shape, Data data, std::uint64_t seed)
      : a(coded(FormatId::e4m3, shape.M, shape.K, tile_1x128, data, seed)),
        b(coded(FormatId::e4m3, shape.N, shape.K, block_128x128, data, seed + 1)),
        a_stride(next_16(shape.K) + 16),
        b_stride(next_16(shape.K) + 32),
        scales_stride(shape.M + 3),
        out_stride(shape.N + 6),
        a_codes(rows_with_poison(a.q, a_stride)),
        b_codes(rows_with_poison(b.q, b_stride)),
        a_scales(scales_m_major(a.s, scales_stride)),
        b_scales(std::vector<float>(b.s.data(), b.s.data() + b.s.size())) {}

  cuda::Fp8Gemm gemm(std::uint16_t* out) const {
    return {static_cast<int>(a.q.rows()),
            static_cast<int>(b.q.rows()),
            static_cast<int>(a.q.cols()),
            {a_codes.data(), a_stride},
            {a_scales.data(), scales_stride},
            {b_codes.data(), b_stride},
            {b_scales.data(), b.s.cols()},
            out,
            out_stride};
  }

  /// All of out's buffer: its rows with what lies between them, and one row more.
  std::vector<std::uint16_t> run(cuda::Rung rung) const {
    cuda::Buffer<std::uint16_t> out(static_cast<std::size_t>((a.q.rows() + 1) * out_stride));
    cuda::fp8_gemm(gemm(out.data()), rung);
    cuda::synchronise();
    return out.to_host();
  }
};

/// Empty if what `is_right` says of every element holds and nothing was written beside them; else the first place.
template <class IsRight>
std::string first_wrong(const std::vector<std::uint16_t>& out, const GemmCase& c, const IsRight& is_right) {
  for (Index i = 0; i * c.out_stride < std::ssize(out); ++i)
    for (Index j = 0; j < c.out_stride; ++j) {
      const std::uint16_t found = out[static_cast<std::size_t>(i * c.out_stride + j)];
      const bool is_element = i < c.a.q.rows() && j < c.b.q.rows();
      if (is_element ? !is_right(i, j, found) : found != unwritten)
        return "(" + std::to_string(i) + ", " + std::to_string(j) +
               "): " + (is_element ? std::to_string(float_from_bf16(found)) : "written");
    }
  return "";
}

/// Bits, all NaN being one. A new buffer's NaN is one that no kernel writes.
inline bool same_bits(std::uint16_t found, float expected) {
  return std::isnan(expected) ? std::isnan(float_from_bf16(found)) && found != unwritten
                              : found == bf16_from_float(expected);
}

inline std::string not_the_bits_of(const GemmCase& c, const std::vector<std::uint16_t>& out,
                                   const Accumulation& accumulation) {
  Scales y(c.a.q.rows(), c.b.q.rows());
  fp8_fprop(y, c.a, c.b, {accumulation, ScaleOrder::together});
  const std::string wrong =
      first_wrong(out, c, [&](Index i, Index j, std::uint16_t found) { return same_bits(found, y(i, j)); });
  return wrong;
}

/// Half the distance of BF16 values around x: 8 bits of significand, and 2^-133 below the normal ones.
inline double bf16_half_ulp(double x) { return std::ldexp(1.0, std::max(x == 0 ? -126 : std::ilogb(x), -126) - 8); }

/// Outside docs/bounds/gemm.md's bound of that arithmetic and half an ulp of BF16. `share` becomes the part of equal
/// bits.
inline std::string outside_bound(const GemmCase& c, const std::vector<std::uint16_t>& out,
                                 const Accumulation& accumulation, double& share) {
  const Fp8Arithmetic how{accumulation, ScaleOrder::together};
  const Fp8Operand a_operand = c.a, b_operand = c.b;
  const Fp8Part a = whole(a_operand, false), b = whole(b_operand, false);
  const Bounds bound = fp8_error_bound(a, b, how);
  Scales y(a.size, b.size);
  fp8_fprop(y, a_operand, b_operand, how);
  Index equal = 0;
  const std::string wrong = first_wrong(out, c, [&](Index i, Index j, std::uint16_t found) {
    equal += same_bits(found, y(i, j));
    if (!std::isfinite(bound(i, j))) return std::isfinite(y(i, j)) || same_bits(found, y(i, j));
    double exact = 0, magnitude = 0;
    for (Index k = 0; k < a.depth; ++k) {
      const double term = double{a.value(i, k)} * b.value(j, k) * a.scale(i, k) * b.scale(j, k);
      exact += term, magnitude += std::abs(term);
    }
    const double of_the_sum = bound(i, j) + magnitude * 0x1p-40;  // doubles add up less than 2^12 terms here
    return std::abs(float_from_bf16(found) - exact) <= of_the_sum + bf16_half_ulp(std::abs(exact) + of_the_sum);
  });
  share = y.size() == 0 ? 1 : static_cast<double>(equal) / static_cast<double>(y.size());
  return wrong;
}

}  // namespace dsv3::test
