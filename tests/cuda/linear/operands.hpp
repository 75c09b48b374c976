// SPDX-License-Identifier: MIT
/// \file
/// Random codes and scales in the layouts of cuda/linear/fp8_gemm.hpp, and what the reference makes of them.
#pragma once
#include <cmath>
#include <vector>

#include "cuda/linear/fp8_gemm.hpp"
#include "reference/core/random.hpp"
#include "reference/formats/bf16.hpp"
#include "reference/formats/format.hpp"
#include "reference/linear/fp8_bounds.hpp"

namespace dsv3::test {

/// E4M3 codes of a normal distribution, none NaN.
inline Codes random_codes(Index rows, Index cols, std::uint64_t seed) {
  Random random(seed);
  Codes q(rows, cols);
  for (Index i = 0; i < q.size(); ++i)
    q.data()[i] = static_cast<std::uint8_t>(encode(FormatId::e4m3, static_cast<float>(16 * random.normal())));
  return q;
}

/// Between 0.5 and 2, no powers of two.
inline Scales random_scales(Index rows, Index cols, std::uint64_t seed) {
  Random random(seed);
  Scales s(rows, cols);
  for (Index i = 0; i < s.size(); ++i) s.data()[i] = static_cast<float>(std::exp2(2 * random.uniform() - 1));
  return s;
}

/// Codes and scales as the reference has them.
struct Operand {
  Codes q;
  Scales s;
  Groups groups;
  Fp8Operand view() const { return {q, s, groups, values_of(FormatId::e4m3).data()}; }
};

inline Operand random_operand(Index rows, Index cols, const Groups& groups, std::uint64_t seed) {
  const auto up = [](Index n, Index group) { return (n + group - 1) / group; };
  return {random_codes(rows, cols, seed), random_scales(up(rows, groups.rows), up(cols, groups.cols), seed + 1),
          groups};
}

inline Index padded(Index n, Index to) { return (n + to - 1) / to * to; }

/// Row after row each `stride` values; what lies between is all bits one.
template <class T, class M>
std::vector<T> rows_of(const M& m, Index stride) {
  std::vector<T> out(static_cast<std::size_t>(m.rows() * stride));
  std::fill_n(reinterpret_cast<unsigned char*>(out.data()), out.size() * sizeof(T), 0xFF);
  for (Index i = 0; i < m.rows(); ++i)
    for (Index j = 0; j < m.cols(); ++j) out[static_cast<std::size_t>(i * stride + j)] = m(i, j);
  return out;
}

/// An operand in the device's memory; scales of 1x128 tiles M-major.
class OnDevice {
 public:
  explicit OnDevice(const Operand& x)
      : stride_(padded(x.q.cols(), 16)),
        scales_stride_(x.groups.rows == 1 ? padded(x.s.rows(), 4) : x.s.cols()),
        codes_(rows_of<std::uint8_t>(x.q, stride_)),
        scales_(x.groups.rows == 1 ? rows_of<float>(Scales(x.s.transpose()), scales_stride_)
                                   : rows_of<float>(x.s, scales_stride_)) {}
  cuda::Fp8Rows rows() const { return {codes_.data(), stride_}; }
  cuda::TileScales tiles() const { return {scales_.data(), scales_stride_}; }
  cuda::BlockScales blocks() const { return {scales_.data(), scales_stride_}; }

 private:
  Index stride_, scales_stride_;
  cuda::Buffer<std::uint8_t> codes_;
  cuda::Buffer<float> scales_;
};

/// Several experts' operands, one below the other. A tile of padding rows has NaN scales.
inline Operand stacked(const std::vector<Operand>& all) {
  Operand out{all[0].q, all[0].s, all[0].groups};
  for (std::size_t i = 1; i < all.size(); ++i) {
    const Codes q = out.q;
    const Scales s = out.s;
    out.q.resize(q.rows() + all[i].q.rows(), q.cols());
    out.q << q, all[i].q;
    out.s.resize(s.rows() + all[i].s.rows(), s.cols());
    out.s << s, all[i].s;
  }
  return out;
}

inline constexpr Fp8Arithmetic on_hopper{hopper_fp8_wgmma, ScaleOrder::together};

/// a b^T as wgmma and the promotions give it, in FP32.
inline Scales product_on_hopper(const Operand& a, const Operand& b) {
  Scales y(a.q.rows(), b.q.rows());
  fp8_fprop(y, a.view(), b.view(), on_hopper);
  return y;
}

inline std::vector<std::uint16_t> in_bf16(const Scales& y) {
  std::vector<std::uint16_t> codes;
  for (Index i = 0; i < y.size(); ++i) codes.push_back(bf16_from_float(y.data()[i]));
  return codes;
}

}  // namespace dsv3::test
