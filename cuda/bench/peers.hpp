// SPDX-License-Identifier: MIT
/// \file
/// The peers of a row.
#pragma once
#include "cuda/bench/check.hpp"
#include "cuda/bench/cublaslt.hpp"
#include "cuda/bench/rows.hpp"

namespace dsv3::cuda::bench {

/// Products one after the other, each with its best algorithm; those of equal shape share the choice of the first.
Call lt_call(std::string name, const std::vector<LtProduct>& products, StopWatch& watch);

/// The codes of an operand as BF16 values, in which they are exact: [rows, K] without gaps.
Buffer<std::uint16_t> as_bf16(const Operand& operand);

/// A copy from one place of the device's memory to another, reading and writing `bytes` together.
Call copy_call(double bytes);

}  // namespace dsv3::cuda::bench
