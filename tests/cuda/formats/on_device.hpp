// SPDX-License-Identifier: MIT
/// \file
/// Matrices for kernels that quantise, and what the reference makes of them.
#pragma once
#include <bit>
#include <string>
#include <vector>

#include "cuda/formats/quantise.hpp"
#include "reference/core/random.hpp"
#include "reference/formats/bf16.hpp"
#include "reference/formats/quantise.hpp"

namespace dsv3::test {

struct Sizes {
  int rows, cols;
};

/// BF16 codes [rows, cols], in rows of `stride` values; NaN (all bits one) fills the rest.
struct Bf16Matrix {
  Bf16Matrix(int num_rows, int num_cols)
      : rows(num_rows),
        cols(num_cols),
        stride((num_cols + 7) / 8 * 8 + 8),
        codes(static_cast<std::size_t>(num_rows) * static_cast<std::size_t>(stride), 0xFFFF) {}

  std::uint16_t& at(int i, int j) { return codes[static_cast<std::size_t>(i * stride + j)]; }
  std::uint16_t at(int i, int j) const { return codes[static_cast<std::size_t>(i * stride + j)]; }
  FloatMatrix values() const {
    FloatMatrix x(rows, cols);
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < cols; ++j) x(i, j) = float_from_bf16(at(i, j));
    return x;
  }
  cuda::Bf16Rows on(const cuda::Buffer<std::uint16_t>& buffer) const { return {buffer.data(), rows, cols, stride}; }

  int rows, cols;
  std::int64_t stride;
  std::vector<std::uint16_t> codes;
};

inline Bf16Matrix bf16_of(const FloatMatrix& x) {
  Bf16Matrix m(static_cast<int>(x.rows()), static_cast<int>(x.cols()));
  for (int i = 0; i < m.rows; ++i)
    for (int j = 0; j < m.cols; ++j) m.at(i, j) = bf16_from_float(x(i, j));
  return m;
}

/// Normal values, each row and each column at a magnitude of its own.
inline Bf16Matrix random_bf16(int rows, int cols, std::uint64_t seed, double spread = 3) {
  Random random(seed);
  FloatMatrix x(rows, cols);
  std::vector<double> of_column;
  for (int j = 0; j < cols; ++j) of_column.push_back(std::exp2(spread * random.normal()));
  for (int i = 0; i < rows; ++i) {
    const double of_row = std::exp2(spread * random.normal());
    for (int j = 0; j < cols; ++j)
      x(i, j) = static_cast<float>(random.normal() * of_row * of_column[static_cast<std::size_t>(j)]);
  }
  return bf16_of(x);
}

/// Codes [rows, cols] and scales [num_scales, rows_of_scales] on the device; what no kernel should write is 0xFF bytes.
struct Fp8Result {
  Fp8Result(int num_rows, int num_cols, int scale_rows, int scale_cols)
      : rows(num_rows),
        cols(num_cols),
        stride((num_cols + 15) / 16 * 16 + 16),
        num_scale_rows(scale_rows),
        num_scale_cols(scale_cols),
        codes(static_cast<std::size_t>(rows * stride)),
        scales(static_cast<std::size_t>(scale_rows) * static_cast<std::size_t>(scale_cols + 3)) {}

  cuda::Fp8Output out() { return {codes.data(), stride, scales.data(), num_scale_cols + 3}; }

  int rows, cols;
  std::int64_t stride;
  int num_scale_rows, num_scale_cols;
  cuda::Buffer<std::uint8_t> codes;
  cuda::Buffer<float> scales;
};

/// Empty if codes and scales have the bits of `expected`, whose scales lie as the kernel's do, and nothing was written
/// beside them.
inline std::string different(const Fp8Result& got, const Codes& q, const Scales& s) {
  if (q.rows() != got.rows || q.cols() != got.cols) return "codes of another shape";
  if (s.rows() != got.num_scale_rows || s.cols() != got.num_scale_cols) return "scales of another shape";
  const auto place = [](const char* what, std::int64_t i, std::int64_t j) {
    return std::string(what) + " at " + std::to_string(i) + ", " + std::to_string(j);
  };
  const std::vector<std::uint8_t> codes = got.codes.to_host();
  for (std::int64_t i = 0; i < got.rows; ++i)
    for (std::int64_t j = 0; j < got.stride; ++j)
      if (codes[static_cast<std::size_t>(i * got.stride + j)] != (j < got.cols ? q(i, j) : 0xFF))
        return place("code", i, j);
  const std::vector<float> scales = got.scales.to_host();
  const std::int64_t stride = got.num_scale_cols + 3;
  for (std::int64_t i = 0; i < got.num_scale_rows; ++i)
    for (std::int64_t j = 0; j < stride; ++j) {
      const auto bits = std::bit_cast<std::uint32_t>(scales[static_cast<std::size_t>(i * stride + j)]);
      if (bits != (j < got.num_scale_cols ? std::bit_cast<std::uint32_t>(s(i, j)) : 0xFFFF'FFFFu))
        return place("scale", i, j);
    }
  return {};
}

inline ScaleKind reference_of(cuda::Scale scale) {
  return scale == cuda::Scale::fp32 ? ScaleKind::fp32 : ScaleKind::ue8m0_ceil;
}

}  // namespace dsv3::test
