// SPDX-License-Identifier: MIT
/// \file
/// A transformer block as a twin, dense or with DeepSeekMoE: what the ops of layers and of the model are made of.
#pragma once
#include "reference/model/block.hpp"
#include "reference/oracle/ops/attention.hpp"

namespace dsv3::oracle {

enum class Ffn { dense, moe };

/// Those of attention and, for MoE, of the gate; and the conventions of a block.
std::vector<AttributeSpec> layer_attributes(Ffn ffn);
/// The weights as released; each name begins with `prefix`.
std::vector<TensorSpec> layer_weight_specs(Ffn ffn, const std::string& prefix = "");
/// From the first norm to the output of the FFN, in the order of the computation; optional, but for the experts.
std::vector<TensorSpec> layer_activation_specs(Ffn ffn, const std::string& prefix = "");
Tensors drawn_layer_weights(Ffn ffn, const Sizes& sizes, Random& random, const std::string& prefix = "");

/// y of tokens x [T, d]; states the activations and y.
Var layer_twin(Twin& t, Ffn ffn, Var x, const std::string& prefix = "");

/// Sizes and attributes of such a layer; positions of one sequence.
void demand_layer(const Case& c, Ffn ffn);

bool has_usual_layer(const Case& c, Ffn ffn);
/// The reference's block and its weights.
ModelConfig layer_config(const Case& c, Ffn ffn, const std::string& prefix = "");
BlockWeights<Matrix> layer_weights(const Case& c, Ffn ffn, const std::string& prefix = "");
/// The activations that a tap is shown, as outputs under their names here.
Tap into_outputs(Tensors& outputs, const std::string& prefix = "");
/// Joined as the weights are released, under the names of the weights after "d".
void put_gradients(Tensors& outputs, const Case& c, Ffn ffn, const BlockWeights<Matrix>& grads,
                   const std::string& prefix = "");

}  // namespace dsv3::oracle
