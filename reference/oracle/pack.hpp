// SPDX-License-Identifier: MIT
/// \file
/// Golden packs: cases with what their outputs must be, to be checked without this program.
#pragma once
#include <filesystem>

#include "reference/oracle/op.hpp"

namespace dsv3::oracle {

/// The tensors that a pack has of a case:
///
/// inputs.NAME, outputs.NAME   of the case; an output that is judged against a value more
///                             exact than ours is that value, rounded once to the output's type
/// bound.NAME, spread.NAME     U8 codes of the shape of the output, 2^(code - 127) as UE8M0 has it, rounded up. bound:
///                             how far an element may be off; code 0: not at all. spread: see Limit. 255: not judged.
///                             Not there where every bit is defined, or nothing is judged together.
///
/// The limits are those of an implementation that gives its outputs alone, not what it computed before. A choice of
/// experts whose margin roundings may reach, as far off as a spread says, is not judged, nor what depends on it.
Tensors packed(const Op& op, const Case& c);

struct Pack {
  Index files = 0, bytes = 0;
};

/// Writes FOLDER/OP/KIND.safetensors for each kind of case of each of the ops, with op, kind, seed, attributes and
/// optional outputs in its metadata, and FOLDER/OP/contract.json, the op's description: the same bytes for any number
/// of threads and on every machine with a fused multiply-add; without one, products of FP8 differ in their last bits,
/// see fp8_gemm.hpp. The folder appears complete or not at all. Throws std::runtime_error where it exists.
Pack write_pack(const std::filesystem::path& folder, const std::vector<Op>& ops, std::uint64_t seed);

}  // namespace dsv3::oracle
