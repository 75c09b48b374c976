// SPDX-License-Identifier: MIT
#include "cuda/bench/gemm_cases.hpp"
#include "cuda/bench/peers.hpp"
#include "reference/core/require.hpp"

namespace dsv3::cuda::bench {
namespace {

using Kind = LtProduct::Kind;

LtProduct peer_product(Kind kind, GemmCase& c) {
  return {kind,
          c.shape.M,
          c.shape.N,
          c.shape.K,
          c.a.codes().codes,
          c.b.codes().codes,
          c.a.tile_scales().data,
          c.b.block_scales().data,
          c.out.data()};
}

/// With what it needs to be checked.
Call checked(Call call, const std::shared_ptr<GemmCase>& c, const Allowed& allowed) {
  call.wrong = [c, allowed] { return c->wrong(allowed); };
  call.forget = [c] { c->forget(); };
  return call;
}

Call bf16_peer(const std::shared_ptr<GemmCase>& c, StopWatch& watch) {
  const auto a = std::make_shared<Buffer<std::uint16_t>>(as_bf16(c->a));
  const auto b = std::make_shared<Buffer<std::uint16_t>>(as_bf16(c->b));
  LtProduct product = peer_product(Kind::bf16, *c);
  product.a = a->data();
  product.b = b->data();
  Call call = lt_call("cuBLASLt BF16", {product}, watch);
  if (call.run) call.run = [run = std::move(call.run), a, b] { run(); };
  return checked(std::move(call), c, of_an_unscaled_peer);
}

Calls calls_of(const Mnk& shape, Rung rung, bool all_peers, StopWatch& watch) {
  const auto c = std::make_shared<GemmCase>(shape, 21);
  Calls calls{checked({"ours", [c, rung] { c->call(rung); }}, c, {sums_of(rung)}), {}};
  calls.peers.push_back(
      checked(lt_call("cuBLASLt 1x128 x 128x128", {peer_product(Kind::fp8_blocks, *c)}, watch), c, of_a_peer));
  if (!all_peers) return calls;
  calls.peers.push_back(
      checked(lt_call("cuBLASLt one scale", {peer_product(Kind::fp8_unscaled, *c)}, watch), c, of_an_unscaled_peer));
  calls.peers.push_back(bf16_peer(c, watch));
  return calls;
}

Row gemm_row(const std::string& family, const std::string& what, const Mnk& s, Rung rung, bool all_peers) {
  return {concat(family, ' ', what), concat(s.M, " x ", s.N, " x ", s.K), "TFLOP/s", flops(s),
          [=](StopWatch& watch) { return calls_of(s, rung, all_peers, watch); }};
}

}  // namespace

std::vector<Row> gemm_rows(bool quick) {
  std::vector<Row> rows;
  for (const int M : batches)
    for (Mnk s : layers) {
      s.M = M;
      if (quick && s.N != 7168) continue;
      rows.push_back(gemm_row("gemm", concat(s.M, 'x', s.N, 'x', s.K), s, Rung::persistent, true));
      rows.back().goal_ratio = 0.7;
      if (s.M == 4096 && s.K == 16384) rows.back().goal = 800;
    }
  constexpr std::pair<const char*, Rung> rungs[] = {{"naive", Rung::naive},
                                                    {"tiles", Rung::tiles},
                                                    {"wgmma", Rung::wgmma},
                                                    {"ring", Rung::ring},
                                                    {"persistent", Rung::persistent}};
  constexpr Mnk of_ladder{4096, 7168, 2048};
  for (const auto& [name, rung] : rungs) rows.push_back(gemm_row("rung", name, of_ladder, rung, false));
  return rows;
}

}  // namespace dsv3::cuda::bench
