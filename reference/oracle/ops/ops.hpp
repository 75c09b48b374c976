// SPDX-License-Identifier: MIT
/// \file
/// The ops of each family, and the words that their attributes share.
#pragma once
#include "reference/formats/quantise.hpp"
#include "reference/linear/tensor_core.hpp"
#include "reference/oracle/op.hpp"

namespace dsv3::oracle {

std::vector<Op> format_ops();
std::vector<Op> stored_ops();
std::vector<Op> packing_ops();
std::vector<Op> fp8_gemm_ops();
std::vector<Op> fp8_grouped_ops();
std::vector<Op> norm_ops();
std::vector<Op> gate_ops();
std::vector<Op> rope_ops();
std::vector<Op> mla_ops();
std::vector<Op> layer_ops();
std::vector<Op> model_ops();
std::vector<Op> swiglu_ops();
std::vector<Op> loss_ops();
std::vector<Op> balance_ops();
std::vector<Op> bias_ops();
std::vector<Op> adamw_ops();
std::vector<Op> mtp_ops();
std::vector<Op> linear_ops();
std::vector<Op> permute_ops();

/// The format, scale kind, dialect and rounding that an attribute names.
FormatId format_named(const std::string& name);
ScaleKind scale_named(const std::string& name);
Dialect dialect_named(const std::string& name);

/// F32, BF16 and F16.
const std::vector<Dtype>& plain_floats();

/// A convention in words, the first one the report's or the released code's.
AttributeSpec convention(std::string name, std::vector<std::string> choices, std::string what);
/// Whether each of these attributes is what it is where nobody says otherwise.
bool as_usual(const Case& c, const std::vector<AttributeSpec>& specs);

AttributeSpec scale_attribute();
AttributeSpec dialect_attribute();

/// The types that codes have in a file, and the one of a format: FP8's own, BF16 and F16, I32 for E5M6, else bytes.
const std::vector<Dtype>& code_types();
Dtype dtype_of(FormatId id);

/// The format of codes: one of eight bits or less, or one of `more`.
AttributeSpec format_attribute(const std::vector<std::string>& more = {});
AttributeSpec group_attribute(const char* name, Index fallback);
AttributeSpec rounding_attribute();
Rounding rounding_of(const Case& c);

}  // namespace dsv3::oracle
