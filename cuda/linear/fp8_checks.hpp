// SPDX-License-Identifier: MIT
/// \file
/// What the products of fp8_gemm.hpp refuse, before anything is launched.
#pragma once
#include "cuda/linear/fp8_gemm.hpp"
#include "reference/core/require.hpp"

namespace dsv3::cuda {

inline bool is_multiple(const void* pointer, std::uintptr_t bytes) {
  return reinterpret_cast<std::uintptr_t>(pointer) % bytes == 0;
}

inline void require_sizes(int M, int N, int K, const char* where) {
  require(M >= 0 && N >= 0 && K >= 0, where, "M, N and K are ", M, ", ", N, " and ", K, "; none may be negative");
}

inline void require_rows(const Fp8Rows& x, int depth, const char* where, const char* name) {
  require(x.stride % 16 == 0 && x.stride >= depth, where, "the rows of ", name, " are ", x.stride,
          " bytes apart; needed is a multiple of 16 that holds ", depth, " codes");
  require(is_multiple(x.codes, 16), where, "the codes of ", name, " do not begin at a multiple of 16 bytes");
}

inline void require_scales(std::int64_t stride, std::int64_t least, const char* where, const char* name) {
  require(stride >= least, where, "the scales of ", name, " are ", stride, " values apart; needed are at least ",
          least);
}

inline void require_gemm(const Fp8Gemm& g, const char* where) {
  require_sizes(g.M, g.N, g.K, where);
  require(g.N % 2 == 0 && g.out_stride % 2 == 0 && g.out_stride >= g.N, where, "out has ", g.N,
          " columns, its rows are ", g.out_stride, " values apart; both must be even, the second not the smaller");
  require(is_multiple(g.out, 4), where, "out does not begin at a multiple of 4 bytes");
  require_rows(g.a, g.K, where, "a");
  require_rows(g.b, g.K, where, "b");
  require_scales(g.a_scales.stride, g.M, where, "a");
  require_scales(g.b_scales.stride, (g.K + scale_group - 1) / scale_group, where, "b");
}

inline void require_wgrad(const Fp8Wgrad& w, const char* where) {
  require_sizes(w.M, w.N, w.K, where);
  require(w.out_stride >= w.N, where, "out has ", w.N, " columns, its rows are ", w.out_stride, " values apart");
  require(is_multiple(w.out, 4), where, "out does not begin at a multiple of 4 bytes");
  require_rows(w.a, w.K, where, "a");
  require_rows(w.b, w.K, where, "b");
  require_scales(w.a_scales.stride, w.M, where, "a");
  require_scales(w.b_scales.stride, w.N, where, "b");
}

inline void require_experts(int num_experts, const char* where) {
  require(num_experts >= 0, where, "there are ", num_experts, " experts; at least 0 are needed");
}

}  // namespace dsv3::cuda
