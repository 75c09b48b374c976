// SPDX-License-Identifier: MIT
#include "cuda/linear/fp8_linear.hpp"

#include "cuda/linear/fp8_gemm.hpp"
#include "reference/core/require.hpp"
#include "reference/formats/bf16.hpp"

namespace dsv3::cuda {
namespace {

Index up_to_multiple(Index n, Index of) { return (n + of - 1) / of * of; }

/// Rows of codes each a multiple of 16 bytes, at least `rows` of them; zeros where there is nothing.
class CodesOnDevice {
 public:
  explicit CodesOnDevice(const Codes& q, Index rows = 0)
      : stride_(up_to_multiple(q.cols(), 16)), codes_(copy(q, rows)) {}
  Fp8Rows rows() const { return {codes_.data(), stride_}; }

 private:
  std::vector<std::uint8_t> copy(const Codes& q, Index rows) const {
    std::vector<std::uint8_t> out(static_cast<std::size_t>(std::max(q.rows(), rows) * stride_));
    for (Index i = 0; i < q.rows(); ++i) std::copy_n(&q(i, 0), q.cols(), out.data() + i * stride_);
    return out;
  }
  Index stride_;
  Buffer<std::uint8_t> codes_;
};

Buffer<float> on_device(const Scales& s) {
  return Buffer<float>(std::span<const float>(s.data(), static_cast<std::size_t>(s.size())));
}

int whole(Index n) { return static_cast<int>(n); }

/// out = a b^T of 1x128 tiles and 128x128 blocks. A last column is added where their number is odd.
void multiply(FloatOut out, const Codes& a, const Scales& a_scales, const Codes& b, const Scales& b_scales) {
  const Index N = up_to_multiple(b.rows(), 2);
  const CodesOnDevice a_codes(a), b_codes(b, N);
  const Buffer<float> a_s = on_device(a_scales.transpose()), b_s = on_device(b_scales);
  Buffer<std::uint16_t> y(static_cast<std::size_t>(a.rows() * N));
  fp8_gemm({whole(a.rows()),
            whole(N),
            whole(a.cols()),
            a_codes.rows(),
            {a_s.data(), a.rows()},
            b_codes.rows(),
            {b_s.data(), b_scales.cols()},
            y.data(),
            N});
  const std::vector<std::uint16_t> codes = y.to_host();
  for (Index i = 0; i < out.rows(); ++i)
    for (Index j = 0; j < out.cols(); ++j) out(i, j) = float_from_bf16(codes[static_cast<std::size_t>(i * N + j)]);
}

class OnDevice : public Fp8Products {
 public:
  std::string name() const override { return device().name; }
  void fprop(FloatOut y, const Quantised& x, const Quantised& W) const override { multiply(y, x.q, x.s, W.q, W.s); }
  void dgrad(FloatOut dx, const Quantised& dy, const Quantised& W) const override {
    multiply(dx, dy.q, dy.s, W.q.transpose(), W.s.transpose());
  }
  void wgrad(FloatOut dW, const Quantised& dy, const Quantised& x) const override {
    const CodesOnDevice a(dy.q.transpose()), b(x.q.transpose());
    const Buffer<float> a_s = on_device(dy.s), b_s = on_device(x.s);
    const Scales before = dW;
    Buffer<float> sum = on_device(before);
    fp8_wgrad({whole(dW.rows()),
               whole(dW.cols()),
               whole(dy.q.rows()),
               a.rows(),
               {a_s.data(), dy.q.cols()},
               b.rows(),
               {b_s.data(), x.q.cols()},
               sum.data(),
               dW.cols()});
    const std::vector<float> after = sum.to_host();
    dW = Eigen::Map<const Scales>(after.data(), dW.rows(), dW.cols());
  }
};

}  // namespace

const Fp8Products* fp8_products() {
  const std::string reason = why_not();
  require_world(reason.empty(), "device 'cuda'", "no kernel can run here: ", reason);
  static const OnDevice products;
  return &products;
}

}  // namespace dsv3::cuda
