// SPDX-License-Identifier: MIT
/// \file
/// All ops of the oracle.
#pragma once
#include "reference/oracle/op.hpp"

namespace dsv3::oracle {

/// In the order of the report: formats, products, layers.
const std::vector<Op>& registry();

/// Throws std::invalid_argument naming the nearest op there is.
const Op& op_named(std::string_view name);

/// An op's description for people: equation, contract, inputs, outputs, attributes, kinds of cases.
std::string description(const Op& op);
std::string description_json(const Op& op);

}  // namespace dsv3::oracle
