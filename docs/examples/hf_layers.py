#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Layers of Hugging Face's DeepSeek-V3, forward and backward on the CPU, judged by the oracle.

A tiny random model: biases that betray a mask of zeros, YaRN far from position 0, two mscales. Needs torch and
transformers beside the module dsv3. Status 0 if each part in FP32 passes `check`, or `find` names the difference.
"""
import functools
import sys

import dsv3
import torch
import transformers
from transformers.models.deepseek_v3 import modeling_deepseek_v3 as hf

T, VOCABULARY, EXPERTS, FIRST_POSITION = 24, 101, 16, 600
YARN = dict(beta_fast=4.0, beta_slow=0.1, mscale=1.0, mscale_all_dim=0.8)
CONFIG = dict(
    vocab_size=VOCABULARY, hidden_size=48, intermediate_size=40, moe_intermediate_size=16, num_hidden_layers=2,
    first_k_dense_replace=1, num_attention_heads=4, num_key_value_heads=4, q_lora_rank=32, kv_lora_rank=24,
    qk_nope_head_dim=12, qk_rope_head_dim=16, v_head_dim=10, n_routed_experts=EXPERTS, n_shared_experts=2, n_group=4,
    topk_group=2, num_experts_per_tok=4, routed_scaling_factor=2.5, max_position_embeddings=2560, use_cache=False,
    rope_parameters=dict(rope_type="yarn", rope_theta=1000.0, factor=40.0, original_max_position_embeddings=64, **YARN))
ROPE = dict(theta=1000.0, yarn_factor=40.0, original_length=64, max_length=2560, layout="interleaved_to_half", **YARN)
MLA = dict(n_h=4, d_h=12, d_r=16, d_v=10, **ROPE)
GATE = dict(K_r=4, num_groups=4, kept_groups=2, routed_scaling_factor=2.5)

# The oracle's names, and where a layer of transformers has the same.
WEIGHTS = dict(
    attn_norm="input_layernorm", ffn_norm="post_attention_layernorm", wq_a="self_attn.q_a_proj",
    q_norm="self_attn.q_a_layernorm", wq_b="self_attn.q_b_proj", kv_norm="self_attn.kv_a_layernorm",
    wkv_a="self_attn.kv_a_proj_with_mqa", wkv_b="self_attn.kv_b_proj", wo="self_attn.o_proj", w1="mlp.gate_proj",
    w2="mlp.down_proj", w3="mlp.up_proj", gate="mlp.gate", shared_w1="mlp.shared_experts.gate_proj",
    shared_w2="mlp.shared_experts.down_proj", shared_w3="mlp.shared_experts.up_proj")
ACTIVATIONS = dict(
    x="in", attn_normed="input_layernorm.out", h="input_layernorm.out", c_Q="self_attn.q_a_layernorm.in",
    c_KV="self_attn.kv_a_layernorm.in", k_R="rope.out1", o="self_attn.o_proj.in", u="self_attn.o_proj.out",
    x_prime="post_attention_layernorm.in", ffn_normed="post_attention_layernorm.out", router_logits="mlp.gate.out",
    weights="mlp.gate.out1", experts="mlp.gate.out2", ffn="mlp.out", y="out")


def with_gradients(tensors, shaped=lambda x: x):
    """The tensors, and the gradient of x as dx."""
    there = {name: x for name, x in tensors.items() if (x.is_leaf or x.retains_grad) and x.grad is not None}
    gradients = {"d" + name: x.grad for name, x in there.items()}
    return {name: shaped(x.detach()) for name, x in (tensors | gradients).items()}


class Run:
    """A sequence through a random model and back: what went in and out of each of its modules and of RoPE."""

    def __init__(self, attention="eager", experts="eager", latents=1.0, **changes):
        torch.manual_seed(1)
        config, rope, self.seen = hf.DeepseekV3Config(**CONFIG | changes), hf.apply_rotary_pos_emb_interleave, {}
        model = hf.DeepseekV3ForCausalLM._from_config(config, dtype=config.dtype, attn_implementation=attention)
        model.set_experts_implementation(experts)
        self.modules, layers = dict(model.named_modules()), iter(("model.layers.0.rope", "model.layers.1.rope"))
        with torch.no_grad():
            for name, p in model.named_parameters():
                p.copy_(1 + torch.randn(p.shape) / 10 if p.ndim == 1 else torch.randn(p.shape) / p.shape[-1] ** 0.5)
                p.mul_(latents if "_a_proj" in name else 1)
            self.modules["model.layers.1.mlp.gate"].e_score_correction_bias.copy_(torch.randn(EXPERTS) / 20 - 2)
        for name, module in self.modules.items():
            module.register_forward_hook(functools.partial(self.keep, name))

        def shown(q, k, *tables):
            turned = rope(q, k, *tables)
            self.keep(next(layers), rope, (q, k), turned)
            return turned

        hf.apply_rotary_pos_emb_interleave = shown
        self.tokens, self.positions = torch.randint(VOCABULARY, (1, T)), FIRST_POSITION + torch.arange(T)
        self.loss = model(self.tokens, position_ids=self.positions[None], labels=self.tokens).loss
        self.loss.backward()
        hf.apply_rotary_pos_emb_interleave = rope

    def keep(self, name, _, inputs, outputs):
        for way, tensors in (("in", inputs), ("out", outputs if isinstance(outputs, tuple) else (outputs,))):
            for i, x in enumerate(tensors):
                if isinstance(x, torch.Tensor):
                    self.seen[f"{name}.{way}{i or ''}"] = x
                    x.requires_grad and x.retain_grad()

    def named(self, within, places, shaped=lambda x: x.flatten(0, -2)):
        found = {ours: within + theirs for ours, theirs in places.items() if within + theirs in self.seen}
        return with_gradients({ours: self.seen[place] for ours, place in found.items()}, shaped)

    def layer(self, i):
        """All that the ops of a layer may ask for."""
        at, m = f"model.layers.{i}.", self.modules
        of = {ours: m[at + theirs].weight for ours, theirs in WEIGHTS.items() if at + theirs in m}
        if i > 0:
            of |= dict(w1=m[at + "mlp.experts"].gate_up_proj, w2=m[at + "mlp.experts"].down_proj)
        of = with_gradients(of) | self.named(at, ACTIVATIONS) | dict(positions=self.positions)
        if i > 0:
            of["gate_bias"] = m[at + "mlp.gate"].e_score_correction_bias
            (of["w1"], of["w3"]), (of["dw1"], of["dw3"]) = of["w1"].chunk(2, 1), of["dw1"].chunk(2, 1)
        return of

    def parts(self):
        """Each part's name, op, tensors and attributes."""
        (dense, moe), at, ends = (self.layer(i) for i in range(2)), "model.layers.0.", dict(x="in", y="out")
        norm = self.named(at + "self_attn.q_a_layernorm.", ends) | dict(g=dense["q_norm"], dg=dense["dq_norm"])
        yield "q_a_layernorm", "rms_norm", norm, {}
        queries = self.named(at + "rope.", ends, lambda x: x[0].transpose(0, 1))
        yield "queries, rotated", "rope", queries | dict(positions=self.positions), ROPE
        yield "layers.0.self_attn", "mla", dense, MLA
        mlp = self.named(at + "mlp.", dict(gate="gate_proj.out", up="up_proj.out", h="down_proj.in"))
        yield "layers.0.mlp", "swiglu", mlp, {}
        yield "layers.1.mlp.gate", "gate", moe | dict(x=moe["ffn_normed"], W=moe["gate"], b=moe["gate_bias"]), GATE
        yield "layers.0", "dense_layer", dense, MLA
        yield "layers.1", "moe_layer", moe, MLA | GATE
        head = self.named("lm_head.", ends) | with_gradients(dict(W=self.modules["lm_head"].weight))
        yield "lm_head", "linear", head, {}
        targets = torch.cat((self.tokens[0, 1:], torch.tensor([-100])))  # the last token has none
        loss = dict(logits=head["y"], dlogits=head["dy"], targets=targets, loss=self.loss, dloss=torch.ones(()))
        yield "loss", "cross_entropy", loss, dict(ignored=-100)


def explained(part, op, values, attributes):
    """Prints the verdict, and what `find` says of what is outside. The op picks from the values what it knows."""
    described = dsv3.describe(op)
    inputs, theirs = ({t["name"]: values[t["name"]] for t in described[kind] if t["name"] in values}
                      for kind in ("inputs", "outputs"))
    verdict, search, said = dsv3.check(op, inputs, theirs, **attributes), None, "pass"
    if not verdict:
        search = dsv3.find(op, inputs, theirs, **attributes)
        said = " ".join(["OUTSIDE:", *(t["name"] for t in verdict.json["tensors"] if t["agreement"] == "OUTSIDE")])
        lines = [line for line in str(search).split("\n") if not line.startswith("attributes that")]  # are defaults
        said += "; find: " + " ".join(lines[:1 if search else 2])
    print(f"{part:26} {op:22} {len(theirs):2} tensors {said}", flush=True)
    return bool(verdict or search)


def all_explained(parts):
    both_ways = ((part, way, *rest) for part, op, *rest in parts for way in (op, op + "_backward") if way in dsv3.ops())
    return all([explained(*part) for part in both_ways])


if __name__ == "__main__":
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, dsv3 {dsv3.__version__}\n\neager")
    ok = all_explained(Run().parts())
    print("\nscaled_dot_product_attention, experts grouped")
    ok &= all_explained(Run("sdpa", "grouped_mm").parts())
    print("\nread as released (k_R), and with eps=1e-5 throughout (transformers norms latents with 1e-6)")
    ok &= explained("layers.0.self_attn", "mla", Run().layer(0), MLA | dict(layout="interleaved"))
    ok &= explained("layers.0.self_attn", "mla", Run(latents=0.01, rms_norm_eps=1e-5).layer(0), MLA | dict(eps=1e-5))
    print("\nin BF16, rounded to after each operation, where the oracle rounds once: not counted")
    for part in list(Run(dtype=torch.bfloat16).parts())[:3]:
        explained(*part)
    sys.exit(0 if ok else 1)
