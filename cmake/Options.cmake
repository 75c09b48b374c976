# Code generation. -march=x86-64-v3 (AVX2 and FMA) makes Eigen's products 2.5 times faster than the baseline; tuning for
# haswell because g++ 12's znver3 tuning makes them slower. No -ffast-math: it flushes the subnormals this project is about.
# -ffp-contract=off: a*b+c is rounded twice unless the source asks for a fused one, so results do not depend on the compiler.
include(CheckCXXSourceRuns)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(CMAKE_REQUIRED_FLAGS "-march=x86-64-v3")
  check_cxx_source_runs("#include <immintrin.h>
    int main() { __m256 x = _mm256_set1_ps(1); x = _mm256_fmadd_ps(x, x, x); return _mm256_cvtss_f32(x) == 2 ? 0 : 1; }" DSV3_HAS_AVX2)
  unset(CMAKE_REQUIRED_FLAGS)
endif()
if(DSV3_HAS_AVX2)
  set(DSV3_ARCH x86-64-v3 CACHE STRING "-march of the library and everything linked with it; empty: the compiler's default")
else()
  set(DSV3_ARCH "" CACHE STRING "-march of the library and everything linked with it; empty: the compiler's default")
endif()

find_package(Eigen3 3.4 REQUIRED NO_MODULE)
find_package(OpenMP REQUIRED COMPONENTS CXX)

# What a user of the library must compile with as well: Eigen's data layout depends on it.
add_library(dsv3_interface INTERFACE)
target_compile_features(dsv3_interface INTERFACE cxx_std_20)
target_compile_definitions(dsv3_interface INTERFACE EIGEN_DONT_PARALLELIZE)
if(DSV3_ARCH)
  target_compile_options(dsv3_interface INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-march=${DSV3_ARCH}>)
endif()
target_link_libraries(dsv3_interface INTERFACE Eigen3::Eigen OpenMP::OpenMP_CXX)

# -Wrestrict: g++ 12 sees an overlap in every `"text" + std::string` (GCC bug 105329).
add_library(dsv3_options INTERFACE)
target_compile_options(dsv3_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict> -ffp-contract=off -fno-math-errno -fno-trapping-math
  $<$<BOOL:${DSV3_ARCH}>:-mtune=haswell> $<$<BOOL:${DSV3_WERROR}>:-Werror>>)
target_link_libraries(dsv3_options INTERFACE dsv3_interface)
set(CMAKE_CXX_FLAGS_RELEASE "-O3")
