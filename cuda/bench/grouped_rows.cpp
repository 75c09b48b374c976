// SPDX-License-Identifier: MIT
#include <algorithm>

#include "cuda/bench/gemm_cases.hpp"
#include "cuda/bench/peers.hpp"
#include "reference/core/random.hpp"
#include "reference/core/require.hpp"

namespace dsv3::cuda::bench {
namespace {

using Kind = LtProduct::Kind;

constexpr Mnk gate_and_up{0, 4096, 7168}, down{0, 7168, 2048};  ///< of an expert

Mnk with_rows(Mnk s, int M) {
  s.M = M;
  return s;
}

std::string words(const Mnk& s) { return concat(s.N, " x ", s.K); }

template <class Case>
Call checked(Call call, const std::shared_ptr<Case>& c, const Allowed& allowed) {
  call.wrong = [c, allowed] { return c->wrong(allowed); };
  call.forget = [c] { c->forget(); };
  return call;
}

/// Scales of a lie [K / 128, experts M] in grouped cases, which a product of one expert cannot take: for the peer
/// [experts, K / 128, M], as masked cases have them.
std::vector<float> scales_of_each(const GroupedCase& c) {
  const std::int64_t M = c.shape.M, steps = num_groups(c.shape.K, scale_group), stride = c.a.tile_scales().stride;
  std::vector<float> packed;
  for (std::int64_t e = 0; e < c.experts; ++e)
    for (std::int64_t k = 0; k < steps; ++k) {
      const auto from = c.a.host_scales().begin() + k * stride + e * M;
      packed.insert(packed.end(), from, from + M);
    }
  return packed;
}

/// A product for each expert, all of its M rows.
template <class Case>
std::vector<LtProduct> product_of_each(Kind kind, Case& c, int experts, const void* a, const void* b,
                                       const float* a_scales) {
  const Mnk& s = c.shape;
  const std::int64_t value = kind == Kind::bf16 ? 2 : 1, of_a = std::int64_t{s.M} * s.K * value,
                     of_b = std::int64_t{s.N} * s.K * value;
  std::vector<LtProduct> products;
  for (std::int64_t e = 0; e < experts; ++e)
    products.push_back({kind, s.M, s.N, s.K, static_cast<const std::byte*>(a) + e * of_a,
                        static_cast<const std::byte*>(b) + e * of_b, a_scales + e * s.M * num_groups(s.K, scale_group),
                        c.b.block_scales().data + e * num_groups(s.N, scale_group) * c.b.block_scales().stride,
                        c.out.data() + e * s.M * s.N});
  return products;
}

template <class Case>
Call bf16_peer(const std::shared_ptr<Case>& c, int experts, StopWatch& watch) {
  const auto a = std::make_shared<Buffer<std::uint16_t>>(as_bf16(c->a));
  const auto b = std::make_shared<Buffer<std::uint16_t>>(as_bf16(c->b));
  Call call = lt_call("cuBLASLt BF16, each expert",
                      product_of_each(Kind::bf16, *c, experts, a->data(), b->data(), nullptr), watch);
  if (call.run) call.run = [run = std::move(call.run), a, b] { run(); };
  return checked(std::move(call), c, of_an_unscaled_peer);
}

Calls grouped_calls(int experts, const Mnk& s, StopWatch& watch) {
  const auto c = std::make_shared<GroupedCase>(experts, s, 31);
  const auto a_scales = std::make_shared<Buffer<float>>(scales_of_each(*c));
  Call blocks = lt_call(
      "cuBLASLt 1x128 x 128x128, each expert",
      product_of_each(Kind::fp8_blocks, *c, experts, c->a.codes().codes, c->b.codes().codes, a_scales->data()), watch);
  if (blocks.run) blocks.run = [run = std::move(blocks.run), a_scales] { run(); };
  return {checked({"ours", [c] { c->call(); }}, c, {}),
          {checked(std::move(blocks), c, of_a_peer), bf16_peer(c, experts, watch)}};
}

Calls masked_calls(const std::vector<int>& rows, const Mnk& s, StopWatch& watch) {
  const auto c = std::make_shared<MaskedCase>(rows, s, 41);
  const auto experts = static_cast<int>(rows.size());
  Call blocks = lt_call(
      "cuBLASLt 1x128 x 128x128, each expert padded",
      product_of_each(Kind::fp8_blocks, *c, experts, c->a.codes().codes, c->b.codes().codes, c->a.tile_scales().data),
      watch);
  return {checked({"ours", [c] { c->call(); }}, c, {}),
          {checked(std::move(blocks), c, of_a_peer), bf16_peer(c, experts, watch)}};
}

Calls wgrad_calls(const Mnk& s, StopWatch& watch) {
  const auto c = std::make_shared<WgradCase>(s, 51);
  const LtProduct product{
      Kind::fp8_tiles_added,   s.M,          s.N, s.K, c->a.codes().codes, c->b.codes().codes, c->a.tile_scales().data,
      c->b.tile_scales().data, c->out.data()};
  return {checked({"ours", [c] { c->call(); }}, c, {}),
          {checked(lt_call("cuBLASLt 1x128 x 1x128 added", {product}, watch), c, of_a_peer)}};
}

Row masked_row(const std::string& name, const std::vector<int>& rows, int M, const Mnk& layer) {
  const Mnk s = with_rows(layer, M);
  double used = 0;
  for (const int r : rows) used += r;
  return {concat("masked ", name, ' ', layer.N, 'x', layer.K),
          concat(rows.size(), " experts of ", M, ", ", used, " used, ", words(s)), "TFLOP/s", 2 * used * s.N * s.K,
          [=](StopWatch& watch) { return masked_calls(rows, s, watch); }};
}

/// Of a decoding step: 20 .. 192 rows for each of 32 experts.
std::vector<int> uneven_rows() {
  Random random = stream(61, "rows of experts");
  std::vector<int> rows;
  for (int e = 0; e < 32; ++e) rows.push_back(20 + static_cast<int>(random.below(173)));
  return rows;
}

}  // namespace

std::vector<Row> grouped_rows(bool quick) {
  std::vector<Row> rows;
  for (const Mnk& layer : {gate_and_up, down}) {
    for (const auto& [experts, M] : {std::pair{4, 8192}, {8, 4096}}) {
      const Mnk s = with_rows(layer, M);
      if (!quick || experts == 8)
        rows.push_back({concat("grouped ", experts, 'x', M, ' ', layer.N, 'x', layer.K),
                        concat(experts, " experts of ", M, ", ", words(s)), "TFLOP/s", experts * flops(s),
                        [=, n = experts](StopWatch& watch) { return grouped_calls(n, s, watch); }});
    }
    for (const auto& [experts, M] : {std::pair{1, 1024}, {2, 512}, {4, 256}})
      if (!quick || experts == 4)
        rows.push_back(
            masked_row(concat(experts, 'x', M), std::vector<int>(static_cast<std::size_t>(experts), M), M, layer));
    rows.push_back(masked_row("4x256 quarter", std::vector<int>(4, 64), 256, layer));
    if (!quick) rows.push_back(masked_row("32 uneven", uneven_rows(), 192, layer));
    const Mnk wgrad{layer.N, layer.K, 4096};
    rows.push_back({concat("wgrad ", layer.N, 'x', layer.K), concat("4096 tokens, dW ", words(layer)), "TFLOP/s",
                    flops(wgrad), [=](StopWatch& watch) { return wgrad_calls(wgrad, watch); }});
  }
  return rows;
}

}  // namespace dsv3::cuda::bench
