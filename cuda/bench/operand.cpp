// SPDX-License-Identifier: MIT
#include "cuda/bench/operand.hpp"

#include <algorithm>

#include "reference/core/random.hpp"
#include "reference/core/threads.hpp"
#include "reference/formats/bf16.hpp"
#include "reference/formats/format.hpp"

namespace dsv3::cuda::bench {
namespace {

constexpr Index table_size = 1 << 12, chunk = 1 << 16;

/// Values drawn from a table of normal ones: five for each 64 random bits.
template <class T, class Make>
std::vector<T> drawn(std::int64_t count, std::uint64_t seed, const Make& make) {
  Random of_table = stream(seed, "table");
  std::vector<T> table;
  for (Index i = 0; i < table_size; ++i) table.push_back(make(of_table));
  std::vector<T> values(static_cast<std::size_t>(count));
  parallel_rows(
      count,
      [&](Index begin, Index n) {
        Random random = stream(seed, static_cast<std::uint64_t>(begin));
        std::uint64_t bits = 0;
        for (Index i = 0; i < n; ++i, bits >>= 12) {
          if (i % 5 == 0) bits = random.bits();
          values[static_cast<std::size_t>(begin + i)] = table[bits % table_size];
        }
      },
      chunk);
  return values;
}

std::int64_t round_up(std::int64_t n, std::int64_t to) { return (n + to - 1) / to * to; }

}  // namespace

std::vector<std::uint8_t> random_codes(std::int64_t count, std::uint64_t seed) {
  constexpr double largest_of_128 = 2.7;  // of normal values, about
  return drawn<std::uint8_t>(count, seed, [](Random& random) {
    return static_cast<std::uint8_t>(
        encode(FormatId::e4m3, static_cast<float>(random.normal() * 448 / largest_of_128)));
  });
}

std::vector<float> random_scales(std::int64_t count, std::uint64_t seed) {
  return drawn<float>(count, seed, [](Random& random) { return static_cast<float>((2 + random.uniform()) / 448); });
}

std::vector<std::uint16_t> random_bf16(std::int64_t count, std::uint64_t seed) {
  return drawn<std::uint16_t>(count, seed,
                              [](Random& random) { return bf16_from_float(static_cast<float>(random.normal())); });
}

Operand::Operand(int experts, int rows, int K, ScaledBy scaled_by, std::uint64_t seed)
    : rows_(rows),
      K_(K),
      scaled_by_(scaled_by),
      stride_(round_up(K, 16)),
      // cuBLASLt wants rows of blocks' scales from a multiple of 16 bytes on; our kernels take any.
      scales_stride_(scaled_by == ScaledBy::tiles ? rows : round_up(num_groups(K, scale_group), 4)),
      scales_of_expert_(scales_stride_ * num_groups(scaled_by == ScaledBy::tiles ? K : rows, scale_group)),
      host_codes_(random_codes(experts * rows * stride_, seed)),
      host_scales_(random_scales(experts * scales_of_expert_, seed + 1)),
      codes_(host_codes_),
      scales_(host_scales_) {}

float Operand::scale(int expert, int row, int k) const {
  const std::int64_t in_expert = scaled_by_ == ScaledBy::tiles ? k / scale_group * scales_stride_ + row
                                                               : row / scale_group * scales_stride_ + k / scale_group;
  return host_scales_[static_cast<std::size_t>(expert * scales_of_expert_ + in_expert)];
}

Quantised Operand::some(int expert, std::span<const int> rows, int first_k, int depth, bool with_scales) const {
  const auto count = static_cast<Index>(rows.size());
  Quantised part{Codes(count, depth), Scales(count, num_groups(depth, scale_group)), tile_1x128};
  for (Index i = 0; i < count; ++i) {
    const int row = rows[static_cast<std::size_t>(i)];
    const auto from = host_codes_.begin() + (expert * static_cast<std::int64_t>(rows_) + row) * stride_ + first_k;
    std::copy_n(from, depth, part.q.row(i).begin());
    for (Index k = 0; k < part.s.cols(); ++k)
      part.s(i, k) = with_scales ? scale(expert, row, first_k + static_cast<int>(k) * scale_group) : 1.0f;
  }
  return part;
}

}  // namespace dsv3::cuda::bench
