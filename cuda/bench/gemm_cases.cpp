// SPDX-License-Identifier: MIT
#include "cuda/bench/gemm_cases.hpp"

#include <algorithm>

#include "reference/core/require.hpp"
#include "reference/formats/bf16.hpp"

namespace dsv3::cuda::bench {
namespace {

std::size_t area(std::int64_t rows, std::int64_t cols) { return static_cast<std::size_t>(rows * cols); }

Fp8Gemm gemm_of(const Mnk& s, int M, const Operand& a, const Operand& b, Buffer<std::uint16_t>& out) {
  return {M, s.N, s.K, a.codes(), a.tile_scales(), b.codes(), b.block_scales(), out.data(), s.N};
}

/// Elements of a result [.., N] in BF16 whose row 0 is row `first` of `host`.
Result bf16_result(const std::vector<std::uint16_t>& host, std::int64_t first, std::int64_t N) {
  return {.at = [&host, first, N](int i, int j) -> double {
    return float_from_bf16(host[area(first + i, N) + static_cast<std::size_t>(j)]);
  }};
}

/// Each 128 rows belong to one expert.
std::vector<int> experts_in_order(int experts, int rows) {
  require(rows % scale_group == 0, "GroupedCase", "an expert has ", rows, " rows; it needs a multiple of ",
          scale_group);
  std::vector<int> of_block;
  for (int e = 0; e < experts; ++e) of_block.insert(of_block.end(), static_cast<std::size_t>(rows / scale_group), e);
  return of_block;
}

/// What earlier micro-batches may have left in dW: as large as the sum over some thousand tokens.
std::vector<float> sums_before(std::int64_t count, std::uint64_t seed) {
  std::vector<float> sums;
  for (const std::uint16_t value : random_bf16(count, seed)) sums.push_back(64 * float_from_bf16(value));
  return sums;
}

}  // namespace

GemmCase::GemmCase(const Mnk& s, std::uint64_t seed)
    : shape(s),
      a(1, s.M, s.K, ScaledBy::tiles, seed),
      b(1, s.N, s.K, ScaledBy::blocks, seed + 2),
      out(area(s.M, s.N)),
      seed_(seed) {}

void GemmCase::call(Rung rung) { fp8_gemm(gemm_of(shape, shape.M, a, b, out), rung); }

std::string GemmCase::wrong(const Allowed& allowed) const {
  const auto host = out.to_host();
  if (std::string unwritten = what_is_unwritten(std::span(host)); !unwritten.empty()) return unwritten;
  const Product product{&a, &b, 0, 0, 0, shape.M, shape.N, 0, shape.K};
  return what_is_wrong(product, bf16_result(host, 0, shape.N), allowed, seed_);
}

GroupedCase::GroupedCase(int num_experts, const Mnk& s, std::uint64_t seed)
    : experts(num_experts),
      shape(s),
      a(1, num_experts * s.M, s.K, ScaledBy::tiles, seed),
      b(num_experts, s.N, s.K, ScaledBy::blocks, seed + 2),
      out(area(num_experts * s.M, s.N)),
      seed_(seed),
      expert_of_block_(experts_in_order(num_experts, s.M)) {}

void GroupedCase::call() {
  fp8_gemm_grouped({gemm_of(shape, experts * shape.M, a, b, out), experts, expert_of_block_.data()});
}

std::string GroupedCase::wrong(const Allowed& allowed) const {
  const auto host = out.to_host();
  std::string found = what_is_unwritten(std::span(host));
  for (int e = 0; e < experts && found.empty(); ++e) {
    const Product product{&a, &b, 0, e, e * shape.M, shape.M, shape.N, 0, shape.K};
    found = what_is_wrong(product, bf16_result(host, e * shape.M, shape.N), allowed, seed_ + static_cast<unsigned>(e));
  }
  return found;
}

MaskedCase::MaskedCase(std::vector<int> rows_of_experts, const Mnk& s, std::uint64_t seed)
    : rows(std::move(rows_of_experts)),
      shape(s),
      a(static_cast<int>(rows.size()), s.M, s.K, ScaledBy::tiles, seed),
      b(static_cast<int>(rows.size()), s.N, s.K, ScaledBy::blocks, seed + 2),
      out(rows.size() * area(s.M, s.N)),
      seed_(seed),
      rows_(rows) {}

void MaskedCase::call() {
  fp8_gemm_masked({gemm_of(shape, shape.M, a, b, out), static_cast<int>(rows.size()), rows_.data()});
}

std::string MaskedCase::wrong(const Allowed& allowed) const {
  const auto host = out.to_host();
  const std::size_t of_expert = area(shape.M, shape.N);
  for (std::size_t e = 0; e < rows.size(); ++e) {
    const std::size_t used = area(rows[e], shape.N);
    const auto begin = host.begin() + static_cast<std::ptrdiff_t>(e * of_expert);
    const auto end_of_used = begin + static_cast<std::ptrdiff_t>(used),
               end = begin + static_cast<std::ptrdiff_t>(of_expert);
    const auto at = static_cast<int>(e);
    std::string found = what_is_unwritten(std::span(begin, end_of_used));
    if (found.empty() && allowed.is_bounded &&
        std::any_of(end_of_used, end, [](std::uint16_t v) { return v != 0xFFFF; }))
      found = concat("wrong: a row of expert ", e, " is written, of which only ", rows[e], " are used");
    const Product product{&a, &b, at, at, 0, rows[e], shape.N, 0, shape.K};
    if (found.empty()) found = what_is_wrong(product, bf16_result(host, at * shape.M, shape.N), allowed, seed_ + e);
    if (!found.empty()) return found;
  }
  return {};
}

WgradCase::WgradCase(const Mnk& s, std::uint64_t seed)
    : shape(s),
      a(1, s.M, s.K, ScaledBy::tiles, seed),
      b(1, s.N, s.K, ScaledBy::tiles, seed + 2),
      out(area(s.M, s.N)),
      seed_(seed),
      before_(sums_before(std::int64_t{s.M} * s.N, seed + 4)) {
  forget();
}

void WgradCase::forget() { out.copy_from(before_); }

void WgradCase::call() {
  fp8_wgrad({shape.M, shape.N, shape.K, a.codes(), a.tile_scales(), b.codes(), b.tile_scales(), out.data(), shape.N});
}

std::string WgradCase::wrong(const Allowed& allowed) const {
  const auto host = out.to_host();
  const auto at = [N = shape.N](const std::vector<float>& matrix) {
    return [&matrix, N](int i, int j) -> double { return matrix[area(i, N) + static_cast<std::size_t>(j)]; };
  };
  const Product product{&a, &b, 0, 0, 0, shape.M, shape.N, 0, shape.K};
  return what_is_wrong(product, {.at = at(host), .before = at(before_), .rounding = 0x1p-22}, allowed, seed_);
}

}  // namespace dsv3::cuda::bench
