// SPDX-License-Identifier: MIT
#include "cuda/bench/cublaslt.hpp"

#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <string>

#include "reference/core/require.hpp"

namespace dsv3::cuda::bench {
namespace {

constexpr std::size_t workspace_bytes = std::size_t{64} << 20;

void check(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS) throw NotSupported(concat(call, ": ", cublasLtGetStatusString(status)));
}

/// Of all products, which run one after the other. Never given back: at the end the runtime may be gone before it.
const Memory& workspace() {
  static const Memory* const the_one = new Memory(workspace_bytes);
  return *the_one;
}

cublasLtHandle_t handle() {
  static const cublasLtHandle_t the_one = [] {
    cublasLtHandle_t h;
    check(cublasLtCreate(&h), "cublasLtCreate");
    return h;
  }();
  return the_one;
}

/// What cuBLASLt's handles have in common.
template <class Handle, auto destroy>
struct Owned {
  Handle handle = nullptr;
  Owned() = default;
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() {
    if (handle != nullptr) destroy(handle);
  }
};
using Description = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

template <class T>
void set(Description& description, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  check(cublasLtMatmulDescSetAttribute(description.handle, attribute, &value, sizeof value),
        "cublasLtMatmulDescSetAttribute");
}

}  // namespace

/// cuBLASLt counts in columns: it multiplies out^T [N, M] = b a^T, so its A is our b.
struct LtMatmul::Plan {
  LtProduct product;
  Description description;
  Layout A, B, D;
  std::vector<cublasLtMatmulHeuristicResult_t> algorithms;
  std::size_t chosen = 0;

  explicit Plan(const LtProduct& p) : product(p) {
    const bool is_bf16 = p.kind == LtProduct::Kind::bf16, adds = p.kind == LtProduct::Kind::fp8_tiles_added;
    const cudaDataType_t operand = is_bf16 ? CUDA_R_16BF : CUDA_R_8F_E4M3;
    check(cublasLtMatmulDescCreate(&description.handle, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
    set(description, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
    set(description, CUBLASLT_MATMUL_DESC_TRANSB, CUBLAS_OP_N);
    set_scales();
    layout(A, operand, p.K, p.N);
    layout(B, operand, p.K, p.M);
    layout(D, adds ? CUDA_R_32F : CUDA_R_16BF, p.N, p.M);
    ask();
  }

  static void layout(Layout& of, cudaDataType_t type, int rows, int cols) {
    check(cublasLtMatrixLayoutCreate(&of.handle, type, static_cast<std::uint64_t>(rows),
                                     static_cast<std::uint64_t>(cols), rows),
          "cublasLtMatrixLayoutCreate");
  }

  void set_scales() {
    using enum LtProduct::Kind;
    if (product.kind == fp8_unscaled) set(description, CUBLASLT_MATMUL_DESC_FAST_ACCUM, std::int8_t{1});
    if (product.kind != fp8_blocks && product.kind != fp8_tiles_added) return;
    const std::int32_t of_a = CUBLASLT_MATMUL_MATRIX_SCALE_VEC128_32F;
    const std::int32_t of_b = product.kind == fp8_blocks ? CUBLASLT_MATMUL_MATRIX_SCALE_BLK128x128_32F : of_a;
    set(description, CUBLASLT_MATMUL_DESC_A_SCALE_MODE, of_b);
    set(description, CUBLASLT_MATMUL_DESC_B_SCALE_MODE, of_a);
    set(description, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, product.b_scales);
    set(description, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, product.a_scales);
  }

  void ask() {
    Preference preference;
    check(cublasLtMatmulPreferenceCreate(&preference.handle), "cublasLtMatmulPreferenceCreate");
    check(cublasLtMatmulPreferenceSetAttribute(preference.handle, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                               &workspace_bytes, sizeof workspace_bytes),
          "cublasLtMatmulPreferenceSetAttribute");
    constexpr int most = 8;
    int found = 0;
    algorithms.resize(most);
    check(cublasLtMatmulAlgoGetHeuristic(handle(), description.handle, A.handle, B.handle, D.handle, D.handle,
                                         preference.handle, most, algorithms.data(), &found),
          "cublasLtMatmulAlgoGetHeuristic");
    algorithms.resize(static_cast<std::size_t>(found));
    std::erase_if(algorithms, [](const auto& a) { return a.state != CUBLAS_STATUS_SUCCESS; });
    if (algorithms.empty()) throw NotSupported("cublasLtMatmulAlgoGetHeuristic: no algorithm");
  }

  /// A proposal may still be refused when it is launched.
  void keep_those_that_run() {
    std::vector<cublasLtMatmulHeuristicResult_t> running;
    for (std::size_t i = 0; i < algorithms.size(); ++i) try {
        run(i);
        running.push_back(algorithms[i]);
      } catch (const NotSupported&) {
      }
    if (running.empty()) throw NotSupported("cublasLtMatmul: refuses every algorithm of its own");
    algorithms = std::move(running);
  }

  void run(std::size_t algorithm) {
    const float alpha = 1, beta = product.kind == LtProduct::Kind::fp8_tiles_added ? 1.0f : 0.0f;
    check(cublasLtMatmul(handle(), description.handle, &alpha, product.b, A.handle, product.a, B.handle, &beta,
                         product.out, D.handle, product.out, D.handle, &algorithms[algorithm].algo, workspace().data(),
                         workspace().bytes(), nullptr),
          "cublasLtMatmul");
  }
};

LtMatmul::LtMatmul(const LtProduct& product) : plan_(std::make_unique<Plan>(product)) {}
LtMatmul::~LtMatmul() = default;
LtMatmul::LtMatmul(LtMatmul&&) noexcept = default;
int LtMatmul::num_algorithms() const { return static_cast<int>(plan_->algorithms.size()); }
void LtMatmul::operator()() { plan_->run(plan_->chosen); }

void LtMatmul::choose_as(const LtMatmul& other) {
  plan_->algorithms = {other.plan_->algorithms[other.plan_->chosen]};
  plan_->chosen = 0;
}

void LtMatmul::choose(StopWatch& watch) {
  constexpr int rounds = 5;
  plan_->keep_those_that_run();
  std::vector<std::function<void()>> calls;
  for (std::size_t i = 0; i < plan_->algorithms.size(); ++i) calls.push_back([this, i] { plan_->run(i); });
  std::vector<std::vector<double>> seconds = interleaved(watch, calls, rounds);
  const auto median = [](std::vector<double>& times) {
    std::nth_element(times.begin(), times.begin() + rounds / 2, times.end());
    return times[rounds / 2];
  };
  std::vector<double> medians;
  for (auto& times : seconds) medians.push_back(median(times));
  plan_->chosen = static_cast<std::size_t>(std::min_element(medians.begin(), medians.end()) - medians.begin());
}

const char* cublaslt_version() {
  static const std::string version = [] {
    const std::size_t v = cublasLtGetVersion();  // 130001 is 13.0.1
    return concat(v / 10000, '.', v / 100 % 100, '.', v % 100);
  }();
  return version.c_str();
}

}  // namespace dsv3::cuda::bench
