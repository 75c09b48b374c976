// SPDX-License-Identifier: MIT
/// \file
/// What the FP8 products, dense and grouped, share.
#pragma once
#include "reference/linear/fp8_gemm.hpp"
#include "reference/oracle/ops/ops.hpp"

namespace dsv3::oracle {

/// Codes and scales as they came, and as a product reads them.
struct Operand {
  Codes q;
  Scales s;  ///< as the case reads them
  Groups groups;
  FormatId format;

  /// Inputs NAME_q and NAME_s, or those of one expert of several below each other.
  Operand(const Case& c, const std::string& name, Groups shared_by, Index expert = 0, Index experts = 1);
  Fp8Operand view() const { return {q, s, groups, values_of(format).data(), dsv3::format(format).min_exponent()}; }
};

/// The specs of NAME_q and NAME_s; `experts`: with a dimension E before the others.
std::vector<TensorSpec> operand_specs(const std::string& name, const ShapeText& shape, Groups groups,
                                      bool experts = false);

std::vector<AttributeSpec> product_attributes(bool with_W);
Fp8Arithmetic arithmetic_of(const Case& c);
/// Of products whose sums go over the letter `depth`.
void demand_product(const Case& c, const char* depth, bool with_W);

/// Operands of a kind before they are quantised, and as inputs NAME_q and NAME_s.
FloatMatrix before_quantising(const std::string& kind, Index rows, Index cols, Random& random);
void put_quantised(Tensors& inputs, const std::string& name, const FloatMatrix& m, Groups groups);

std::vector<CaseKind> product_kinds(const Sizes& ordinary, const Sizes& ragged, const Sizes& square);
const char* product_contract();

}  // namespace dsv3::oracle
