// SPDX-License-Identifier: MIT
/// \file
/// The ops of each family, and the words that their attributes share.
#pragma once
#include "reference/formats/quantise.hpp"
#include "reference/linear/tensor_core.hpp"
#include "reference/oracle/op.hpp"

namespace dsv3::oracle {

std::vector<Op> format_ops();
std::vector<Op> fp8_gemm_ops();
std::vector<Op> norm_ops();
std::vector<Op> gate_ops();

/// The format, scale kind, dialect and rounding that an attribute names.
FormatId format_named(const std::string& name);
ScaleKind scale_named(const std::string& name);
Dialect dialect_named(const std::string& name);

AttributeSpec scale_attribute();
AttributeSpec dialect_attribute();

}  // namespace dsv3::oracle
