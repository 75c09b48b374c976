// SPDX-License-Identifier: MIT
/// \file
/// Products of a warpgroup: D = A B^T + D, A of 64 rows and B of N rows in shared memory, both K-major and swizzled
/// (swizzle.hpp), D of 64 x N in the registers of 128 threads. One instruction reads 32 bytes of each row.
#pragma once
#include "cuda/core/hopper.cuh"
#include "cuda/core/swizzle.hpp"

namespace dsv3::cuda {

enum class Mma { e4m3, e5m2, bf16 };

/// Bytes of a row that one instruction reads: 32 values of FP8, 16 of BF16.
inline constexpr int mma_bytes = 32;
inline constexpr int mma_rows = 64;

#ifdef __CUDACC__

/// Before the first product, and before the first after another instruction has touched its sums.
DSV3_DEVICE void mma_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
/// The products so far become a group.
DSV3_DEVICE void mma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
/// Until at most `left` groups are not done: then their sums may be read and their tiles overwritten.
template <int left>
DSV3_DEVICE void mma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(left) : "memory");
}
/// The compiler must not move reads or writes of these sums across this.
template <int n>
DSV3_DEVICE void mma_fence(float (&d)[n]) {
  DSV3_UNROLL
  for (int i = 0; i < n; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

namespace detail {

// %0 .. %7, then %8 .. %15, and so on: the names of the sums in the instruction, and the sums.

#define DSV3_NAMES_0 "%0, %1, %2, %3, %4, %5, %6, %7"
#define DSV3_NAMES_1 "%8, %9, %10, %11, %12, %13, %14, %15"
#define DSV3_NAMES_2 "%16, %17, %18, %19, %20, %21, %22, %23"
#define DSV3_NAMES_3 "%24, %25, %26, %27, %28, %29, %30, %31"
#define DSV3_NAMES_4 "%32, %33, %34, %35, %36, %37, %38, %39"
#define DSV3_NAMES_5 "%40, %41, %42, %43, %44, %45, %46, %47"
#define DSV3_NAMES_6 "%48, %49, %50, %51, %52, %53, %54, %55"
#define DSV3_NAMES_7 "%56, %57, %58, %59, %60, %61, %62, %63"
#define DSV3_NAMES_8 "%64, %65, %66, %67, %68, %69, %70, %71"
#define DSV3_NAMES_9 "%72, %73, %74, %75, %76, %77, %78, %79"
#define DSV3_NAMES_10 "%80, %81, %82, %83, %84, %85, %86, %87"
#define DSV3_NAMES_11 "%88, %89, %90, %91, %92, %93, %94, %95"
#define DSV3_NAMES_12 "%96, %97, %98, %99, %100, %101, %102, %103"
#define DSV3_NAMES_13 "%104, %105, %106, %107, %108, %109, %110, %111"
#define DSV3_NAMES_14 "%112, %113, %114, %115, %116, %117, %118, %119"
#define DSV3_NAMES_15 "%120, %121, %122, %123, %124, %125, %126, %127"

#define DSV3_SUMS_0 "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7])
#define DSV3_SUMS_1 "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15])
#define DSV3_SUMS_2 \
  "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23])
#define DSV3_SUMS_3 \
  "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31])
#define DSV3_SUMS_4 \
  "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), "+f"(d[35]), "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39])
#define DSV3_SUMS_5 \
  "+f"(d[40]), "+f"(d[41]), "+f"(d[42]), "+f"(d[43]), "+f"(d[44]), "+f"(d[45]), "+f"(d[46]), "+f"(d[47])
#define DSV3_SUMS_6 \
  "+f"(d[48]), "+f"(d[49]), "+f"(d[50]), "+f"(d[51]), "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), "+f"(d[55])
#define DSV3_SUMS_7 \
  "+f"(d[56]), "+f"(d[57]), "+f"(d[58]), "+f"(d[59]), "+f"(d[60]), "+f"(d[61]), "+f"(d[62]), "+f"(d[63])
#define DSV3_SUMS_8 \
  "+f"(d[64]), "+f"(d[65]), "+f"(d[66]), "+f"(d[67]), "+f"(d[68]), "+f"(d[69]), "+f"(d[70]), "+f"(d[71])
#define DSV3_SUMS_9 \
  "+f"(d[72]), "+f"(d[73]), "+f"(d[74]), "+f"(d[75]), "+f"(d[76]), "+f"(d[77]), "+f"(d[78]), "+f"(d[79])
#define DSV3_SUMS_10 \
  "+f"(d[80]), "+f"(d[81]), "+f"(d[82]), "+f"(d[83]), "+f"(d[84]), "+f"(d[85]), "+f"(d[86]), "+f"(d[87])
#define DSV3_SUMS_11 \
  "+f"(d[88]), "+f"(d[89]), "+f"(d[90]), "+f"(d[91]), "+f"(d[92]), "+f"(d[93]), "+f"(d[94]), "+f"(d[95])
#define DSV3_SUMS_12 \
  "+f"(d[96]), "+f"(d[97]), "+f"(d[98]), "+f"(d[99]), "+f"(d[100]), "+f"(d[101]), "+f"(d[102]), "+f"(d[103])
#define DSV3_SUMS_13 \
  "+f"(d[104]), "+f"(d[105]), "+f"(d[106]), "+f"(d[107]), "+f"(d[108]), "+f"(d[109]), "+f"(d[110]), "+f"(d[111])
#define DSV3_SUMS_14 \
  "+f"(d[112]), "+f"(d[113]), "+f"(d[114]), "+f"(d[115]), "+f"(d[116]), "+f"(d[117]), "+f"(d[118]), "+f"(d[119])
#define DSV3_SUMS_15 \
  "+f"(d[120]), "+f"(d[121]), "+f"(d[122]), "+f"(d[123]), "+f"(d[124]), "+f"(d[125]), "+f"(d[126]), "+f"(d[127])

#define DSV3_NAMES_TO_0 DSV3_NAMES_0
#define DSV3_SUMS_TO_0 DSV3_SUMS_0
#define DSV3_NAMES_TO_1 DSV3_NAMES_TO_0 ", " DSV3_NAMES_1
#define DSV3_NAMES_TO_2 DSV3_NAMES_TO_1 ", " DSV3_NAMES_2
#define DSV3_NAMES_TO_3 DSV3_NAMES_TO_2 ", " DSV3_NAMES_3
#define DSV3_NAMES_TO_4 DSV3_NAMES_TO_3 ", " DSV3_NAMES_4
#define DSV3_NAMES_TO_5 DSV3_NAMES_TO_4 ", " DSV3_NAMES_5
#define DSV3_NAMES_TO_6 DSV3_NAMES_TO_5 ", " DSV3_NAMES_6
#define DSV3_NAMES_TO_7 DSV3_NAMES_TO_6 ", " DSV3_NAMES_7
#define DSV3_NAMES_TO_8 DSV3_NAMES_TO_7 ", " DSV3_NAMES_8
#define DSV3_NAMES_TO_9 DSV3_NAMES_TO_8 ", " DSV3_NAMES_9
#define DSV3_NAMES_TO_10 DSV3_NAMES_TO_9 ", " DSV3_NAMES_10
#define DSV3_NAMES_TO_11 DSV3_NAMES_TO_10 ", " DSV3_NAMES_11
#define DSV3_NAMES_TO_12 DSV3_NAMES_TO_11 ", " DSV3_NAMES_12
#define DSV3_NAMES_TO_13 DSV3_NAMES_TO_12 ", " DSV3_NAMES_13
#define DSV3_NAMES_TO_14 DSV3_NAMES_TO_13 ", " DSV3_NAMES_14
#define DSV3_NAMES_TO_15 DSV3_NAMES_TO_14 ", " DSV3_NAMES_15
#define DSV3_SUMS_TO_1 DSV3_SUMS_TO_0, DSV3_SUMS_1
#define DSV3_SUMS_TO_2 DSV3_SUMS_TO_1, DSV3_SUMS_2
#define DSV3_SUMS_TO_3 DSV3_SUMS_TO_2, DSV3_SUMS_3
#define DSV3_SUMS_TO_4 DSV3_SUMS_TO_3, DSV3_SUMS_4
#define DSV3_SUMS_TO_5 DSV3_SUMS_TO_4, DSV3_SUMS_5
#define DSV3_SUMS_TO_6 DSV3_SUMS_TO_5, DSV3_SUMS_6
#define DSV3_SUMS_TO_7 DSV3_SUMS_TO_6, DSV3_SUMS_7
#define DSV3_SUMS_TO_8 DSV3_SUMS_TO_7, DSV3_SUMS_8
#define DSV3_SUMS_TO_9 DSV3_SUMS_TO_8, DSV3_SUMS_9
#define DSV3_SUMS_TO_10 DSV3_SUMS_TO_9, DSV3_SUMS_10
#define DSV3_SUMS_TO_11 DSV3_SUMS_TO_10, DSV3_SUMS_11
#define DSV3_SUMS_TO_12 DSV3_SUMS_TO_11, DSV3_SUMS_12
#define DSV3_SUMS_TO_13 DSV3_SUMS_TO_12, DSV3_SUMS_13
#define DSV3_SUMS_TO_14 DSV3_SUMS_TO_13, DSV3_SUMS_14
#define DSV3_SUMS_TO_15 DSV3_SUMS_TO_14, DSV3_SUMS_15

// The last operands, after N/2 sums: the descriptors of A and B, and whether D is added.
#define DSV3_WGMMA(n, k, types, last, a, b, add, tail)                                               \
  asm volatile("{\n.reg .pred adds;\nsetp.ne.b32 adds, %" add                                        \
               ", 0;\n"                                                                              \
               "wgmma.mma_async.sync.aligned.m64n" #n "k" #k ".f32." types " {" DSV3_NAMES_TO_##last \
               "}, %" a ", %" b ", adds, 1, 1" tail ";\n}\n"                                         \
               : DSV3_SUMS_TO_##last                                                                 \
               : "l"(a_tile), "l"(b_tile), "r"(adds))

template <Mma type, int N>
struct Instruction;

template <>
struct Instruction<Mma::e4m3, 16> {
  DSV3_DEVICE static void run(float (&d)[8], std::uint64_t a_tile, std::uint64_t b_tile, int adds) {
    DSV3_WGMMA(16, 32, "e4m3.e4m3", 0, "8", "9", "10", "");
  }
};
template <>
struct Instruction<Mma::e5m2, 16> {
  DSV3_DEVICE static void run(float (&d)[8], std::uint64_t a_tile, std::uint64_t b_tile, int adds) {
    DSV3_WGMMA(16, 32, "e5m2.e5m2", 0, "8", "9", "10", "");
  }
};
template <>
struct Instruction<Mma::bf16, 16> {
  DSV3_DEVICE static void run(float (&d)[8], std::uint64_t a_tile, std::uint64_t b_tile, int adds) {
    DSV3_WGMMA(16, 16, "bf16.bf16", 0, "8", "9", "10", ", 0, 0");
  }
};
template <>
struct Instruction<Mma::e4m3, 32> {
  DSV3_DEVICE static void run(float (&d)[16], std::uint64_t a_tile, std::uint64_t b_tile, int adds) {
    DSV3_WGMMA(32, 32, "e4m3.e4m3", 1, "16", "17", "18", "");
  }
};
template <>
struct Instruction<Mma::bf16, 32> {
  DSV3_DEVICE static void run(float (&d)[16], std::uint64_t a_tile, std::uint64_t b_tile, int adds) {
    DSV3_WGMMA(32, 16, "bf16.bf16", 1, "16", "17", "18", ", 0, 0");
  }
};
template <>
struct Instruction<Mma::e4m3, 64> {
  DSV3_DEVICE static void run(float (&d)[32], std::uint64_t a_tile, std::uint64_t b_tile, int adds) {
    DSV3_WGMMA(64, 32, "e4m3.e4m3", 3, "32", "33", "34", "");
  }
};
template <>
struct Instruction<Mma::e5m2, 64> {
  DSV3_DEVICE static void run(float (&d)[32], std::uint64_t a_tile, std::uint64_t b_tile, int adds) {
    DSV3_WGMMA(64, 32, "e5m2.e5m2", 3, "32", "33", "34", "");
  }
};
template <>
struct Instruction<Mma::bf16, 64> {
  DSV3_DEVICE static void run(float (&d)[32], std::uint64_t a_tile, std::uint64_t b_tile, int adds) {
    DSV3_WGMMA(64, 16, "bf16.bf16", 3, "32", "33", "34", ", 0, 0");
  }
};
template <>
struct Instruction<Mma::e4m3, 96> {
  DSV3_DEVICE static void run(float (&d)[48], std::uint64_t a_tile, std::uint64_t b_tile, int adds) {
    DSV3_WGMMA(96, 32, "e4m3.e4m3", 5, "48", "49", "50", "");
  }
};
template <>
struct Instruction<Mma::bf16, 96> {
  DSV3_DEVICE static void run(float (&d)[48], std::uint64_t a_tile, std::uint64_t b_tile, int adds) {
    DSV3_WGMMA(96, 16, "bf16.bf16", 5, "48", "49", "50", ", 0, 0");
  }
};
template <>
struct Instruction<Mma::e4m3, 128> {
  DSV3_DEVICE static void run(float (&d)[64], std::uint64_t a_tile, std::uint64_t b_tile, int adds) {
    DSV3_WGMMA(128, 32, "e4m3.e4m3", 7, "64", "65", "66", "");
  }
};
template <>
struct Instruction<Mma::bf16, 128> {
  DSV3_DEVICE static void run(float (&d)[64], std::uint64_t a_tile, std::uint64_t b_tile, int adds) {
    DSV3_WGMMA(128, 16, "bf16.bf16", 7, "64", "65", "66", ", 0, 0");
  }
};
template <>
struct Instruction<Mma::e4m3, 160> {
  DSV3_DEVICE static void run(float (&d)[80], std::uint64_t a_tile, std::uint64_t b_tile, int adds) {
    DSV3_WGMMA(160, 32, "e4m3.e4m3", 9, "80", "81", "82", "");
  }
};
template <>
struct Instruction<Mma::bf16, 160> {
  DSV3_DEVICE static void run(float (&d)[80], std::uint64_t a_tile, std::uint64_t b_tile, int adds) {
    DSV3_WGMMA(160, 16, "bf16.bf16", 9, "80", "81", "82", ", 0, 0");
  }
};
template <>
struct Instruction<Mma::e4m3, 192> {
  DSV3_DEVICE static void run(float (&d)[96], std::uint64_t a_tile, std::uint64_t b_tile, int adds) {
    DSV3_WGMMA(192, 32, "e4m3.e4m3", 11, "96", "97", "98", "");
  }
};
template <>
struct Instruction<Mma::bf16, 192> {
  DSV3_DEVICE static void run(float (&d)[96], std::uint64_t a_tile, std::uint64_t b_tile, int adds) {
    DSV3_WGMMA(192, 16, "bf16.bf16", 11, "96", "97", "98", ", 0, 0");
  }
};
template <>
struct Instruction<Mma::e4m3, 256> {
  DSV3_DEVICE static void run(float (&d)[128], std::uint64_t a_tile, std::uint64_t b_tile, int adds) {
    DSV3_WGMMA(256, 32, "e4m3.e4m3", 15, "128", "129", "130", "");
  }
};
template <>
struct Instruction<Mma::bf16, 256> {
  DSV3_DEVICE static void run(float (&d)[128], std::uint64_t a_tile, std::uint64_t b_tile, int adds) {
    DSV3_WGMMA(256, 16, "bf16.bf16", 15, "128", "129", "130", ", 0, 0");
  }
};

}  // namespace detail

/// d = A B^T, or d + A B^T where `adds`, of 32 bytes of each row from the descriptors' addresses on. All 128 threads.
template <Mma type, int n>
DSV3_DEVICE void mma(float (&d)[n], std::uint64_t a_tile, std::uint64_t b_tile, bool adds) {
  detail::Instruction<type, 2 * n>::run(d, a_tile, b_tile, adds ? 1 : 0);
}

#else

void mma_begin();
void mma_commit();
void mma_wait_for(int left);
template <int left>
void mma_wait() {
  mma_wait_for(left);
}
template <int n>
void mma_fence(float (&)[n]) {}
void mma(Mma type, float* d, int n, std::uint64_t a_tile, std::uint64_t b_tile, bool adds);
template <Mma type, int n>
void mma(float (&d)[n], std::uint64_t a_tile, std::uint64_t b_tile, bool adds) {
  mma(type, d, n, a_tile, b_tile, adds);
}

#endif

}  // namespace dsv3::cuda
