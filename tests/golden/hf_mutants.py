# SPDX-License-Identifier: MIT
"""Known mistakes, made on purpose in transformers' model, and the check that each of them moves the logits."""
import torch

from hf_gate import MUTANTS, gate

VISIBLE = 1e-2  # a mutant that moves no logit by more than this would not be noticed
ROUTERS = ("DeepseekV3TopkRouter", "DeepseekV2TopkRouter")


def logits_with(model, config, tokens, mutant):
    """Logits [T, V] with the gate of every layer replaced by a mutated one."""
    def replace(module, inputs, output):
        experts, weights, _ = gate(config, output[0], getattr(module, "e_score_correction_bias", None), mutant)
        return output[0], weights, experts
    hooks = [m.register_forward_hook(replace) for m in model.modules() if type(m).__name__ in ROUTERS]
    with torch.no_grad():
        logits = model(tokens[None], use_cache=False).logits[0]
    for hook in hooks:
        hook.remove()
    return logits


def attention_mutants(model, config):
    """(name, do, undo) of the mistakes that live outside the gate."""
    attentions = [layer.self_attn for layer in model.model.layers]
    scaling, rotary = attentions[0].scaling, model.model.rotary_emb
    inv_freq, factor = rotary.inv_freq.clone(), rotary.attention_scaling
    head = config["qk_nope_head_dim"] + config["qk_rope_head_dim"]
    theta = 1.0 / config["rope_theta"] ** (torch.arange(0, config["qk_rope_head_dim"], 2) / config["qk_rope_head_dim"])

    def scale(value):
        return lambda: [setattr(a, "scaling", value) for a in attentions]

    def frequencies(value):
        return lambda: rotary.inv_freq.copy_(value)
    yield "scale_of_nope_only", scale(config["qk_nope_head_dim"] ** -0.5), scale(scaling)
    if config["rope_scaling"]:
        yield "no_mscale", scale(head ** -0.5), scale(scaling)
        if config["max_position_embeddings"] < 1000:  # elsewhere YaRN moves angles too little at these positions
            yield "no_yarn_frequencies", frequencies(theta), frequencies(inv_freq)
    if factor != 1:
        yield ("no_factor_on_cos_sin", lambda: setattr(rotary, "attention_scaling", 1.0),
               lambda: setattr(rotary, "attention_scaling", factor))
    if config["model_type"] == "deepseek_v3":
        yield ("rotate_half", lambda: setattr(model.config, "rope_interleave", False),
               lambda: setattr(model.config, "rope_interleave", True))


def check_mutants(name, model, config, tokens):
    """{mutant: largest move of a logit of the first prompt}: every mistake this configuration can show must show."""
    right = logits_with(model, config, tokens, None)
    moves = {}
    for mutant, versions in MUTANTS.items():
        if ("v2" if name == "v2" else "v3") in versions.split():
            moves[mutant] = (logits_with(model, config, tokens, mutant) - right).abs().max().item()
    for mutant, do, undo in attention_mutants(model, config):
        do()
        moves[mutant] = (logits_with(model, config, tokens, None) - right).abs().max().item()
        undo()
    if name != "v3_plain":
        moves.pop("mask_zero", None)  # needs negative biased scores; v3_plain has them
    hidden = {mutant: move for mutant, move in moves.items() if not move > VISIBLE}
    assert not hidden, f"{name}: invisible mistakes {hidden}"
    assert torch.equal(logits_with(model, config, tokens, None), right)
    return moves
