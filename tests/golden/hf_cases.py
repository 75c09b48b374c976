# SPDX-License-Identifier: MIT
"""Cases below the model: the gate alone, and the rotary tables at the positions where mistakes show."""
import math

import torch
from safetensors.torch import save_file
from transformers.models.deepseek_v3 import modeling_deepseek_v3 as modeling

from hf_gate import gate
from hf_models import ARCHITECTURES, generator
from hf_run import MIN_MARGIN, check_routing


def make_gate_cases(root):
    """The gate alone: mixed biases, where a masked group at 0.0 does no harm, and negative ones, where it does."""
    config, tensors = ARCHITECTURES["v3_yarn"], {}
    for case, (low, high) in {"mixed": (-0.3, 0.3), "negative": (-1.4, -0.8)}.items():
        for seed in range(1000):
            random = generator("gate", case, seed)
            logits = torch.randn(32, 16, generator=random) * 1.5
            bias = torch.empty(16).uniform_(low, high, generator=random)
            experts, weights, margin = gate(config, logits, bias)
            wrong, wrong_weights, _ = gate(config, logits, bias, "mask_zero")
            if margin.min() > MIN_MARGIN and torch.equal(experts, wrong) == (case == "mixed"):
                break
        else:
            raise RuntimeError(f"gate case {case}: no seed fits")
        router = modeling.DeepseekV3TopkRouter(modeling.DeepseekV3Config(**{**config, "hidden_size": 16}))
        router.weight.data, router.e_score_correction_bias = torch.eye(16), bias
        _, hf_weights, hf_experts = router(logits)
        check_routing(config, logits, bias, hf_experts, hf_weights)
        named = dict(logits=logits, bias=bias, experts=experts, weights=weights, experts_if_masked_with_zero=wrong,
                     weights_if_masked_with_zero=wrong_weights)
        tensors |= {f"{case}.{key}": value.detach().contiguous() for key, value in named.items()}
        differ = (experts.sort(-1).values != wrong.sort(-1).values).any(-1).sum()
        print(f"gate {case}: masked groups at 0.0 would change {int(differ)} of 32 tokens")
    save_file(tensors, root / "gate.safetensors")


ROPES = {"v3": dict(rope_theta=10000.0, rope_type="yarn", factor=40, original_max_position_embeddings=4096,
                    beta_fast=32, beta_slow=1, mscale=1.0, mscale_all_dim=1.0),
         "v2_lite": dict(rope_theta=10000.0, rope_type="yarn", factor=40, original_max_position_embeddings=4096,
                         beta_fast=32, beta_slow=1, mscale=0.707, mscale_all_dim=0.707),
         "factor": dict(rope_theta=10000.0, rope_type="yarn", factor=40, original_max_position_embeddings=4096,
                        beta_fast=32, beta_slow=1, mscale=1.0, mscale_all_dim=0.707),
         "plain": dict(rope_theta=10000.0, rope_type="default")}


def make_rope_cases(root):
    """Tables of V3's rotary width 64 at the positions where mistakes show, from transformers and in double."""
    positions, tensors = torch.tensor([0, 1, 4095, 4096, 163839]), {}
    for case, parameters in ROPES.items():
        config = modeling.DeepseekV3Config(max_position_embeddings=163840, rope_parameters=dict(parameters))
        rotary = modeling.DeepseekV3RotaryEmbedding(config)
        cos, sin = rotary(torch.zeros(1), positions[None])
        frequency, factor = frequencies_in_double(parameters, 64)
        angle = positions.double()[:, None] * frequency
        # transformers rounds the frequency and the angle to FP32: an error of up to angle * 2^-22 in the angle.
        bound = angle * 2.0 ** -22 + 1e-6
        for ours, theirs in ((angle.cos() * factor, cos), (angle.sin() * factor, sin)):
            assert bool(((ours - theirs[0, :, :32].double()).abs() <= factor * bound).all()), case
        attention = modeling.DeepseekV3Attention(modeling.DeepseekV3Config(
            hidden_size=8, num_attention_heads=1, q_lora_rank=None, kv_lora_rank=8, rope_parameters=dict(parameters)), 0)
        named = dict(frequency=frequency, cos=angle.cos() * factor, sin=angle.sin() * factor,
                     cos_transformers=cos[0, :, :32], sin_transformers=sin[0, :, :32],
                     softmax_scale=torch.tensor([attention.scaling], dtype=torch.float64))
        tensors |= {f"{case}.{key}": value.contiguous() for key, value in named.items()}
    tensors["positions"] = positions
    save_file(tensors, root / "rope.safetensors")


def frequencies_in_double(p, width):
    """Frequencies [width/2] of section 4.3's YaRN and the factor on cos and sin, in double."""
    i = torch.arange(width // 2, dtype=torch.float64)
    f = p["rope_theta"] ** (-2 * i / width)
    if p["rope_type"] == "default":
        return f, 1.0
    s = p["factor"]

    def correction(rotations):
        orig = p["original_max_position_embeddings"]
        return width * math.log(orig / (rotations * 2 * math.pi)) / (2 * math.log(p["rope_theta"]))
    low = max(math.floor(correction(p["beta_fast"])), 0)
    high = min(math.ceil(correction(p["beta_slow"])), width - 1)
    ramp = ((i - low) / (high - low)).clamp(0, 1)
    factor = (0.1 * p["mscale"] * math.log(s) + 1) / (0.1 * p["mscale_all_dim"] * math.log(s) + 1)
    return f / s * ramp + f * (1 - ramp), factor
