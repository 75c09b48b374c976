// SPDX-License-Identifier: MIT
// Casts move 5 bytes for a value of FP32 and 3 for one of BF16; a handful of operations each. 2^28 values: 1.34 GB, a
// floor of 447 us at 3.0 TB/s (805 MB and 268 us of BF16).
//
// A thread takes 16 bytes of the wider side at once, neighbours take neighbours, and four such pieces a block apart are
// under way before the first is needed. Hopper converts two values in an instruction; it forgets a NaN's sign. Codes
// become FP32 by moving bits: a code's exponent and fraction, put where FP32 has them, are its magnitude times 2^-120
// (E5M2: 2^-112), subnormals included.
#include "cuda/formats/cast.hpp"

#include "cuda/core/convert.cuh"
#include "cuda/core/launch.cuh"
#include "cuda/formats/checks.hpp"

namespace dsv3::cuda {
namespace {

constexpr int threads = 256, rounds = 4;

DSV3_DEVICE float to_float(float x) { return x; }
DSV3_DEVICE float to_float(std::uint16_t bf16) { return float_of_bf16(bf16); }

template <Fp8 format>
DSV3_DEVICE std::uint8_t code_of(float x, std::uint32_t converted) {
  constexpr std::uint32_t nan = format == Fp8::e4m3 ? 0x7F : 0x7E;
  return static_cast<std::uint8_t>(x == x ? converted : nan | (bits_of(x) >> 24 & 0x80u));
}

template <Fp8 format>
DSV3_DEVICE Vec<std::uint8_t, 2> codes_of(float low, float high) {
  const std::uint32_t two = format == Fp8::e4m3 ? two_e4m3(low, high) : two_e5m2(low, high);
  return {code_of<format>(low, two), code_of<format>(high, two >> 8)};
}

template <Fp8 format>
DSV3_DEVICE float value_of(std::uint8_t code) {
  constexpr int shift = format == Fp8::e4m3 ? 20 : 21;
  constexpr float unit = format == Fp8::e4m3 ? 0x1p120f : 0x1p112f;
  constexpr std::uint32_t infinity = format == Fp8::e4m3 ? 0x7F : 0x7C, first_nan = format == Fp8::e4m3 ? 0x7F : 0x7D;
  const std::uint32_t magnitude = code & 0x7Fu, sign = (code & 0x80u) << 24;
  std::uint32_t bits = bits_of(float_of(magnitude << shift) * unit);
  if (magnitude >= infinity) bits = magnitude >= first_nan ? 0x7FC0'0000u : 0x7F80'0000u;
  return float_of(bits | sign);
}

/// The first of the `width` values that this thread takes in a round.
DSV3_DEVICE std::int64_t first_of(int round, int width) {
  return ((std::int64_t{block()} * rounds + round) * threads + thread()) * width;
}

int num_blocks_for(std::int64_t n, int width) {
  return static_cast<int>(ceil_div<std::int64_t>(n, std::int64_t{threads} * rounds * width));
}

/// f(round, first) for the pieces that are whole.
template <int width, class F>
DSV3_DEVICE void for_whole_pieces(std::int64_t n, const F& f) {
  DSV3_UNROLL
  for (int round = 0; round < rounds; ++round)
    if (first_of(round, width) + width <= n) f(round, first_of(round, width));
}

/// f(i) for what is left of the values: fewer than `width`, one to a thread of the last block.
template <int width, class F>
DSV3_DEVICE void for_the_rest(std::int64_t n, const F& f) {
  const std::int64_t i = n / width * width + thread();
  if (block() == num_blocks() - 1 && i < n) f(i);
}

template <Fp8 format, class T>
DSV3_KERNEL(threads)
encode_all(const T* x, std::int64_t n, std::uint8_t* codes) {
  constexpr int width = 16 / sizeof(T);
  Vec<T, width> values[rounds];
  for_whole_pieces<width>(n, [&](int round, std::int64_t i) { values[round] = load<width>(x + i); });
  for_whole_pieces<width>(n, [&](int round, std::int64_t i) {
    Vec<std::uint8_t, width> piece;
    DSV3_UNROLL
    for (int j = 0; j < width; j += 2) {
      const auto two = codes_of<format>(to_float(values[round].at[j]), to_float(values[round].at[j + 1]));
      piece.at[j] = two.at[0], piece.at[j + 1] = two.at[1];
    }
    store<width>(codes + i, piece);
  });
  for_the_rest<width>(n, [&](std::int64_t i) { codes[i] = codes_of<format>(to_float(x[i]), 0).at[0]; });
}

template <Fp8 format>
DSV3_KERNEL(threads)
decode_all(const std::uint8_t* codes, std::int64_t n, float* x) {
  constexpr int width = 4;
  Vec<std::uint8_t, width> pieces[rounds];
  for_whole_pieces<width>(n, [&](int round, std::int64_t i) { pieces[round] = load<width>(codes + i); });
  for_whole_pieces<width>(n, [&](int round, std::int64_t i) {
    Vec<float, width> values;
    DSV3_UNROLL
    for (int j = 0; j < width; ++j) values.at[j] = value_of<format>(pieces[round].at[j]);
    store<width>(x + i, values);
  });
  for_the_rest<width>(n, [&](std::int64_t i) { x[i] = value_of<format>(codes[i]); });
}

void require_values(std::int64_t n, const void* x, const void* codes, const char* where) {
  require(n >= 0, where, "there are ", n, " values; it cannot be fewer than none");
  require(is_aligned(x) && is_aligned(codes), where, "values and codes must begin at multiples of 16 bytes");
}

template <class T>
void encode_any(Fp8 format, const T* x, std::int64_t n, std::uint8_t* codes, Stream stream) {
  require_values(n, x, codes, "encode");
  const Launch how{.x = num_blocks_for(n, 16 / sizeof(T)), .threads = threads, .stream = stream};
  launch(format == Fp8::e4m3 ? encode_all<Fp8::e4m3, T> : encode_all<Fp8::e5m2, T>, how, x, n, codes);
}

}  // namespace

void encode(Fp8 format, const float* x, std::int64_t n, std::uint8_t* codes, Stream stream) {
  encode_any(format, x, n, codes, stream);
}

void encode(Fp8 format, const std::uint16_t* x, std::int64_t n, std::uint8_t* codes, Stream stream) {
  encode_any(format, x, n, codes, stream);
}

void decode(Fp8 format, const std::uint8_t* codes, std::int64_t n, float* x, Stream stream) {
  require_values(n, x, codes, "decode");
  const Launch how{.x = num_blocks_for(n, 4), .threads = threads, .stream = stream};
  launch(format == Fp8::e4m3 ? decode_all<Fp8::e4m3> : decode_all<Fp8::e5m2>, how, codes, n, x);
}

}  // namespace dsv3::cuda
