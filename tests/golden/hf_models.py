# SPDX-License-Identifier: MIT
"""Tiny random DeepSeek models: their configurations, their weights under the released names, and their files.

The configurations are chosen so that each rule can go wrong: 16 experts in 4 groups of which 2 are kept, biases of both
signs, value heads of another width than key heads, YaRN with constants that are nobody's default, gains that are not 1.
"""
import json
import zlib
from pathlib import Path

import torch
from safetensors.torch import save_file

E4M3_MAX = 448.0
BLOCK = 128

# Fields as the released config.json of V3 spells them (with rope_theta and rope_scaling, not rope_parameters).
V3 = dict(
    architectures=["DeepseekV3ForCausalLM"], model_type="deepseek_v3", attention_bias=False, attention_dropout=0.0,
    aux_loss_alpha=0.001, bos_token_id=0, eos_token_id=1, ep_size=1, first_k_dense_replace=1, hidden_act="silu",
    initializer_range=0.02, kv_lora_rank=20, max_position_embeddings=128, moe_layer_freq=1, n_group=4,
    n_routed_experts=16, n_shared_experts=1, norm_topk_prob=True, num_experts_per_tok=4, num_nextn_predict_layers=0,
    pretraining_tp=1, rms_norm_eps=1e-6, rope_theta=10000, routed_scaling_factor=2.5, scoring_func="sigmoid",
    seq_aux=True, tie_word_embeddings=False, topk_group=2, topk_method="noaux_tc", torch_dtype="float32",
    use_cache=True)


def v3(**changes):
    config = {**V3, **changes}
    config["num_key_value_heads"] = config["num_attention_heads"]
    return config


def yarn(factor, original, fast, slow, mscale, mscale_all_dim):
    return dict(type="yarn", factor=factor, original_max_position_embeddings=original, beta_fast=fast, beta_slow=slow,
                mscale=mscale, mscale_all_dim=mscale_all_dim)


ARCHITECTURES = {
    # Everything on, the numbers of YaRN other than the usual ones; positions beyond original_max_position_embeddings.
    "v3_yarn": v3(hidden_size=36, vocab_size=96, num_hidden_layers=3, num_attention_heads=4, q_lora_rank=24,
                  kv_lora_rank=20, qk_nope_head_dim=12, qk_rope_head_dim=8, v_head_dim=10, intermediate_size=64,
                  moe_intermediate_size=16, rope_scaling=yarn(8, 16, 4, 1, 1.0, 1.0)),
    # No query latent, no YaRN, every bias negative, three shards.
    "v3_plain": v3(hidden_size=32, vocab_size=64, num_hidden_layers=2, num_attention_heads=2, q_lora_rank=None,
                   kv_lora_rank=24, qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=20, intermediate_size=80,
                   moe_intermediate_size=16, rope_scaling=None),
    # BF16 weights; mscale != mscale_all_dim, so that cos and sin carry a factor.
    "v3_bf16": v3(hidden_size=48, vocab_size=80, num_hidden_layers=2, num_attention_heads=3, q_lora_rank=28,
                  kv_lora_rank=20, qk_nope_head_dim=12, qk_rope_head_dim=16, v_head_dim=16, intermediate_size=72,
                  moe_intermediate_size=16, max_position_embeddings=163840, torch_dtype="bfloat16",
                  rope_scaling=yarn(40, 4096, 32, 1, 1.0, 0.7)),
    # E4M3 weights in 128x128 blocks, ragged in rows and columns.
    "v3_fp8": v3(hidden_size=160, vocab_size=64, num_hidden_layers=2, num_attention_heads=4, q_lora_rank=48,
                 kv_lora_rank=72, qk_nope_head_dim=24, qk_rope_head_dim=16, v_head_dim=20, intermediate_size=144,
                 moe_intermediate_size=16, max_position_embeddings=163840, torch_dtype="bfloat16",
                 rope_scaling=yarn(40, 4096, 32, 1, 1.0, 1.0),
                 quantization_config=dict(activation_scheme="dynamic", fmt="e4m3", quant_method="fp8",
                                          weight_block_size=[BLOCK, BLOCK])),
    # One MTP module behind the main layers.
    "v3_mtp": v3(hidden_size=32, vocab_size=64, num_hidden_layers=2, num_attention_heads=2, q_lora_rank=20,
                 kv_lora_rank=16, qk_nope_head_dim=12, qk_rope_head_dim=8, v_head_dim=10, intermediate_size=64,
                 moe_intermediate_size=16, num_nextn_predict_layers=1, rope_scaling=yarn(8, 16, 4, 1, 1.0, 1.0)),
    # 1500 positions, 1024 of them trained at: angles of a thousand radians. RMSNorm's epsilon where it can be seen.
    "v3_long": v3(hidden_size=32, vocab_size=48, num_hidden_layers=2, num_attention_heads=2, q_lora_rank=16,
                  kv_lora_rank=16, qk_nope_head_dim=8, qk_rope_head_dim=64, v_head_dim=10, intermediate_size=40,
                  moe_intermediate_size=8, rms_norm_eps=1e-3, max_position_embeddings=40960,
                  rope_scaling=yarn(40, 1024, 32, 1, 1.0, 0.707)),
    # V2: softmax, the best expert speaks for its group, weights are not normalised, two shared experts.
    "v2": v3(architectures=["DeepseekV2ForCausalLM"], model_type="deepseek_v2", hidden_size=32, vocab_size=64,
             num_hidden_layers=2, num_attention_heads=2, q_lora_rank=24, kv_lora_rank=16, qk_nope_head_dim=12,
             qk_rope_head_dim=8, v_head_dim=10, intermediate_size=64, moe_intermediate_size=16, n_shared_experts=2,
             num_experts_per_tok=3, norm_topk_prob=False, routed_scaling_factor=4.0, scoring_func="softmax",
             topk_method="group_limited_greedy", max_position_embeddings=256,
             rope_scaling=yarn(16, 16, 4, 1, 0.707, 0.707)),
}

# e_score_correction_bias is drawn from here. In v3_plain every biased score of a token can be negative: a masked group
# at 0.0 (instead of -inf) then wins the selection.
BIAS = {"v3_yarn": (-0.35, 0.35), "v3_plain": (-1.3, -0.9), "v3_bf16": (-0.5, 0.5), "v3_fp8": (-0.3, 0.3),
        "v3_mtp": (-0.5, 0.2), "v3_long": (-0.3, 0.3)}


def generator(*names):
    """A random stream of its own for each name, so that no tensor depends on the order in which they are made."""
    return torch.Generator().manual_seed(zlib.crc32("/".join(map(str, names)).encode()))


def linears(config, prefix, is_moe):
    """{name: [out, in]} of the weights of one decoder layer, and its norms as {name: [size]}."""
    d, heads = config["hidden_size"], config["num_attention_heads"]
    qk = config["qk_nope_head_dim"] + config["qk_rope_head_dim"]
    shapes = {"input_layernorm": [d], "post_attention_layernorm": [d]}
    if config["q_lora_rank"]:
        shapes |= {"self_attn.q_a_proj": [config["q_lora_rank"], d], "self_attn.q_a_layernorm": [config["q_lora_rank"]],
                   "self_attn.q_b_proj": [heads * qk, config["q_lora_rank"]]}
    else:
        shapes["self_attn.q_proj"] = [heads * qk, d]
    c = config["kv_lora_rank"]
    shapes |= {"self_attn.kv_a_proj_with_mqa": [c + config["qk_rope_head_dim"], d], "self_attn.kv_a_layernorm": [c],
               "self_attn.kv_b_proj": [heads * (config["qk_nope_head_dim"] + config["v_head_dim"]), c],
               "self_attn.o_proj": [d, heads * config["v_head_dim"]]}
    ffns = {"mlp": config["intermediate_size"]}
    if is_moe:
        width = config["moe_intermediate_size"]
        ffns = {f"mlp.experts.{e}": width for e in range(config["n_routed_experts"])}
        ffns["mlp.shared_experts"] = width * config["n_shared_experts"]
        shapes["mlp.gate"] = [config["n_routed_experts"], d]
    for ffn, width in ffns.items():
        shapes |= {f"{ffn}.gate_proj": [width, d], f"{ffn}.up_proj": [width, d], f"{ffn}.down_proj": [d, width]}
    return {f"{prefix}.{name}.weight": shape for name, shape in shapes.items()}


def shapes_of(config):
    """Every tensor of the checkpoint under its released name."""
    d, V, L = config["hidden_size"], config["vocab_size"], config["num_hidden_layers"]
    shapes = {"model.embed_tokens.weight": [V, d], "model.norm.weight": [d], "lm_head.weight": [V, d]}
    for layer in range(L + config["num_nextn_predict_layers"]):
        prefix = f"model.layers.{layer}"
        shapes |= linears(config, prefix, layer >= config["first_k_dense_replace"])
        if layer >= L:
            shapes |= {f"{prefix}.enorm.weight": [d], f"{prefix}.hnorm.weight": [d],
                       f"{prefix}.eh_proj.weight": [d, 2 * d], f"{prefix}.shared_head.norm.weight": [d]}
    return shapes


def random_weights(name, config, seed):
    """Weights large enough that logits are O(1) to O(10) and that attention and gate are far from uniform."""
    weights = {}
    for key, shape in shapes_of(config).items():
        random = generator(name, key, seed)
        if len(shape) == 1:  # an RMSNorm's gain
            weights[key] = torch.empty(shape).uniform_(0.5, 1.5, generator=random)
            continue
        std = 1.0 if "embed_tokens" in key else 1.6 / shape[1] ** 0.5
        weights[key] = torch.randn(shape, generator=random) * std
        if key.endswith("mlp.gate.weight") and name in BIAS:
            bias = torch.empty(shape[0]).uniform_(*BIAS[name], generator=random)
            weights[key.replace("weight", "e_score_correction_bias")] = bias
    if config["num_nextn_predict_layers"]:  # released checkpoints repeat the two shared matrices
        prefix = f"model.layers.{config['num_hidden_layers']}"
        weights[f"{prefix}.embed_tokens.weight"] = weights["model.embed_tokens.weight"].clone()
        weights[f"{prefix}.shared_head.head.weight"] = weights["lm_head.weight"].clone()
    return weights


def is_fp8(key):
    return key.endswith("_proj.weight") or key.endswith("kv_a_proj_with_mqa.weight")


def quantise(weight):
    """E4M3 codes and the FP32 factor of each 128x128 block: weight is about code * weight_scale_inv."""
    rows, cols = weight.shape
    codes, scales = torch.empty_like(weight), torch.empty(-(-rows // BLOCK), -(-cols // BLOCK))
    for i in range(scales.shape[0]):
        for j in range(scales.shape[1]):
            block = (slice(i * BLOCK, (i + 1) * BLOCK), slice(j * BLOCK, (j + 1) * BLOCK))
            scales[i, j] = weight[block].abs().max().clamp(min=1e-4) / E4M3_MAX
            codes[block] = weight[block] / scales[i, j]
    return codes.to(torch.float8_e4m3fn), scales


def dequantise(codes, scales):
    """Element [i, j] is code[i, j] * scale[i // 128, j // 128], also where the last block is smaller."""
    block_of_row, block_of_column = (torch.arange(size) // BLOCK for size in codes.shape)
    return codes.float() * scales[block_of_row][:, block_of_column]


def stored_weights(config, weights):
    """What the file holds, and the FP32 values that it stands for."""
    if config["torch_dtype"] == "float32":
        return weights, weights
    files, values = {}, {}
    for key, weight in weights.items():
        if "quantization_config" in config and is_fp8(key):
            weight = weight.clone()
            weight[BLOCK:] *= 0.25  # blocks of different magnitude: the scale of a neighbour must not do
            weight[:, BLOCK:] *= 3
            files[key], scales = quantise(weight)
            files[key + "_scale_inv"] = scales
            values[key] = dequantise(files[key], scales)
        else:
            files[key] = weight if key.endswith("bias") else weight.bfloat16()  # the bias stays FP32
            values[key] = files[key].float()
    return files, values


def write_checkpoint(folder: Path, config, tensors, shards=1):
    """config.json and model.safetensors, or that many shards and their index, as released checkpoints have them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    tensors = {key: value.contiguous() for key, value in tensors.items()}
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    keys, where = sorted(tensors), {}
    for s in range(shards):
        file = f"model-{s + 1:05}-of-{shards:05}.safetensors"
        part = {key: tensors[key] for key in keys[s::shards]}
        save_file(part, folder / file, metadata={"format": "pt"})
        where |= dict.fromkeys(part, file)
    size = sum(value.numel() * value.element_size() for value in tensors.values())
    index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(where.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
