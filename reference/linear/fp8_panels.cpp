// SPDX-License-Identifier: MIT
#include "reference/linear/fp8_panels.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace dsv3 {
namespace {

constexpr Index lanes = 8, cols_together = 64;

/// A format of IEEE-like layout as FP32s: a code's lower seven bits, moved up and with another bias, are a normal
/// number. A subnormal code then reads as 2^e (1 + f) instead of 2^(e+1) f, and is below the smallest normal one: no
/// FP32 subnormals come up, which may be slow.
inline float decode_bits(std::int32_t code, const Decoder::Layout& layout) {
  const std::int32_t lower = code & 0x7F, sign = (code & 0x80) << 24;
  const float normal = std::bit_cast<float>((lower << layout.shift) + layout.bias);
  const float above = normal - layout.smallest_normal, extra = above < 0 ? above : 0;
  return std::bit_cast<float>(std::bit_cast<std::int32_t>(normal + extra) | sign);
}

/// Is every finite value what decode_bits says, and are the codes that are not the largest ones of each sign?
bool is_layout(const std::array<float, 256>& values, int largest, const Decoder::Layout& layout) {
  for (std::int32_t code = 0; code < 256; ++code) {
    const bool finite = (code & 0x7F) <= largest;
    if (std::isfinite(values[code]) != finite || (finite && values[code] != decode_bits(code, layout))) return false;
  }
  return true;
}

/// The layout that explains all finite values up to the code `largest`, if there is one.
Decoder::Layout layout_of(const std::array<float, 256>& values, int largest) {
  for (int fraction_bits = 1; fraction_bits <= 6; ++fraction_bits) {
    const float smallest_normal = values[1] * static_cast<float>(1 << fraction_bits);
    const Decoder::Layout tried{23 - fraction_bits, std::bit_cast<std::int32_t>(smallest_normal / 2), smallest_normal};
    if (is_layout(values, largest, tried)) return tried;
  }
  return {};
}

/// What is known of 256 values.
struct Known {
  std::array<float, 256> values;
  std::array<bool, 256> special{};
  int largest = 0;  ///< code that is finite
  Decoder::Layout layout;

  explicit Known(const float* of_codes) {
    std::copy_n(of_codes, 256, values.begin());
    for (int code = 0; code < 256; ++code) {
      special[code] = !std::isfinite(values[code]);
      if (code < 128 && !special[code]) largest = code;
    }
    layout = layout_of(values, largest);
  }
  bool holds_for(const float* of_codes) const { return std::memcmp(values.data(), of_codes, sizeof values) == 0; }
};

/// f(what is known): of the report's formats it is known beforehand.
template <class F>
void with_known(const float* values, const F& f) {
  static const Known e4m3(values_of(FormatId::e4m3).data()), e5m2(values_of(FormatId::e5m2).data());
  if (e4m3.holds_for(values)) f(e4m3);
  else if (e5m2.holds_for(values)) f(e5m2);
  else f(Known(values));
}

bool any_code(const Codes& q, const std::array<bool, 256>& of_these) {
  return std::any_of(q.data(), q.data() + q.size(), [&](std::uint8_t code) { return of_these[code]; });
}

bool any_above(const Codes& q, int largest) {
  std::uint8_t most = 0;  // no early end and no wider type, so that it is done in vectors
  for (Index i = 0; i < q.size(); ++i) most = std::max(most, static_cast<std::uint8_t>(q.data()[i] & 0x7F));
  return most > largest;
}

/// to(col, row) = from(row, col), eight by eight.
void transpose_square(float* to, Index to_step, const float* from, Index from_step) {
  using Packet = Eigen::internal::packet_traits<float>::type;
  constexpr Index size = Eigen::internal::packet_traits<float>::size;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"  // "may alias", which PacketBlock does not need
  Eigen::internal::PacketBlock<Packet, size> square;
#pragma GCC diagnostic pop
  for (Index row = 0; row < lanes; row += size)
    for (Index col = 0; col < lanes; col += size) {
      for (Index i = 0; i < size; ++i)
        square.packet[i] = Eigen::internal::ploadu<Packet>(from + (row + i) * from_step + col);
      Eigen::internal::ptranspose(square);
      for (Index i = 0; i < size; ++i) Eigen::internal::pstoreu(to + (col + i) * to_step + row, square.packet[i]);
    }
}

}  // namespace

Decoder::Decoder(const Fp8Operand& operand, bool finite_only) {
  with_known(operand.values, [&](const Known& known) {
    values_ = known.values;
    has_specials_ = known.layout.shift != 0 ? any_above(operand.q, known.largest) : any_code(operand.q, known.special);
    if (!has_specials_) layout_ = known.layout;
    for (int code = 0; code < 256; ++code)
      if (finite_only && known.special[code]) values_[code] = 0;
  });
}

void Decoder::operator()(float* to, const std::uint8_t* codes, Index count) const {
  const Layout layout = layout_;
  if (layout.shift != 0)
    for (Index i = 0; i < count; ++i) to[i] = decode_bits(codes[i], layout);
  else
    for (Index i = 0; i < count; ++i) to[i] = values_[codes[i]];
}

void Decoder::decode_panel(float* __restrict to, const std::uint8_t* __restrict codes, Index apart, Index depth) const {
  const Layout layout = layout_;
  for (Index k = 0; k < depth; ++k, to += fp8_panel, codes += apart)
    if (layout.shift != 0)
#pragma GCC unroll 1  // in vectors
      for (Index i = 0; i < fp8_panel; ++i) to[i] = decode_bits(codes[i], layout);
    else
      for (Index i = 0; i < fp8_panel; ++i) to[i] = values_[codes[i]];
}

void pack_rows(PackedRows& to, const Decoder& decode, const Fp8Part& a, Index first, Index rows, Index k0,
               Index depth) {
  const bool along_k = a.step_k() == 1;
  const Index runs = along_k ? rows : depth, length = along_k ? depth : rows, apart = (length + 7) / 8 * 8;
  to.step = along_k ? apart : 1;
  to.step_k = along_k ? 1 : apart;
  to.a.resize(static_cast<std::size_t>(runs * apart));
  for (Index run = 0; run < runs; ++run)
    decode(&to.a[run * apart], along_k ? a.codes(first + run, k0) : a.codes(first, k0 + run), length);
}

void pack_columns(std::vector<float>& to, const Decoder& decode, const Fp8Part& b, Index first, Index cols, Index k0,
                  Index depth) {
  to.resize(static_cast<std::size_t>(depth * fp8_panel));
  if (b.step() == 1) {
    if (cols == fp8_panel) decode.decode_panel(to.data(), b.codes(first, k0), b.step_k(), depth);
    else
      for (Index k = 0; k < depth; ++k) decode(&to[k * fp8_panel], b.codes(first, k0 + k), cols);
    return;
  }
  std::array<float, fp8_panel * cols_together> values{};
  for (Index k = 0; k < depth; k += cols_together) {
    const Index count = std::min(cols_together, depth - k);
    for (Index j = 0; j < cols; ++j) decode(&values[j * cols_together], b.codes(first + j, k0 + k), count);
    Index d = 0;
    for (; d + lanes <= count; d += lanes)
      for (Index j = 0; j < fp8_panel; j += lanes)
        transpose_square(&to[(k + d) * fp8_panel + j], fp8_panel, &values[j * cols_together + d], cols_together);
    for (; d < count; ++d)
      for (Index j = 0; j < fp8_panel; ++j) to[(k + d) * fp8_panel + j] = values[j * cols_together + d];
  }
}

void exponents_of(std::vector<std::int8_t>& to, const std::vector<float>& values, int min_exponent) {
  to.resize(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const int bits = std::bit_cast<std::int32_t>(values[i]) & 0x7FFFFFFF, exponent = (bits >> 23) - 127;
    to[i] = static_cast<std::int8_t>(bits == 0 ? zero_exponent : std::max(exponent, min_exponent));
  }
}

}  // namespace dsv3
