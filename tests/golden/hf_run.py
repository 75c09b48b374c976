# SPDX-License-Identifier: MIT
"""Runs a checkpoint in transformers and records what comes out, with the values on the way."""
import torch
from transformers import AutoModelForCausalLM

from hf_gate import gate

MIN_MARGIN = 2e-4  # no choice of an expert hangs on less: another order of summation must not change it


def load(folder, dtype=torch.float32):
    """The model as transformers reads it from `folder`; fails if a tensor is missing or not understood."""
    model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager",
                                                       experts_implementation="eager", output_loading_info=True)
    unexpected = [key for key in info["unexpected_keys"] if f"layers.{model.config.num_hidden_layers}." not in key]
    assert not info["missing_keys"] and not unexpected and not info["mismatched_keys"], info
    return model.eval()


def record(model, config, tokens):
    """{name: tensor} of one prompt: see README.md for the names."""
    seen, hooks = {"tokens": tokens}, []

    def keep(name):
        return lambda module, inputs, output: seen.__setitem__(name, first(output)[0].detach())

    for i, layer in enumerate(model.model.layers):
        hooks += [layer.register_forward_hook(keep(f"layers.{i}.out")),
                  layer.self_attn.register_forward_hook(keep(f"layers.{i}.attention")),
                  layer.mlp.register_forward_hook(keep(f"layers.{i}.ffn"))]
        if hasattr(layer.mlp, "gate"):
            hooks.append(layer.mlp.gate.register_forward_hook(keep_routing(config, seen, f"layers.{i}.gate")))
    hooks.append(model.model.norm.register_forward_hook(keep("norm")))
    with torch.no_grad():
        seen["logits"] = model(tokens[None], use_cache=False).logits[0]
    for hook in hooks:
        hook.remove()
    return seen


def keep_routing(config, seen, name):
    """A hook on a router that records its choice, best expert first, after comparing it with the second gate's."""
    def hook(module, inputs, output):
        logits, weights, experts = (value.detach() for value in output)
        bias = getattr(module, "e_score_correction_bias", None)
        check_routing(config, logits, bias, experts, weights)
        seen[f"{name}.logits"] = logits
        seen[f"{name}.experts"], seen[f"{name}.weights"], seen[f"{name}.margin"] = gate(config, logits, bias)
    return hook


def first(output):
    return output[0] if isinstance(output, tuple) else output


def check_routing(config, logits, bias, experts, weights):
    """transformers' choice against the second gate: the same experts with the same weights on every token."""
    ours, our_weights, _ = gate(config, logits, bias)
    order, our_order = experts.argsort(-1), ours.argsort(-1)
    assert torch.equal(experts.gather(1, order), ours.gather(1, our_order)), "transformers routes otherwise"
    torch.testing.assert_close(weights.gather(1, order), our_weights.gather(1, our_order), rtol=1e-6, atol=1e-7)


def gradients(model, tokens):
    """Mean next-token cross entropy of `tokens`, and of every parameter's gradient three numbers in double:
    its Frobenius norm, its sum, and its product with cos(0), cos(1), ... in row-major order."""
    model.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(tokens[None], use_cache=False).logits[0, :-1], tokens[1:])
    loss.backward()
    found = {"loss": loss.detach().reshape(1)}
    for name, parameter in model.named_parameters():
        for key, gradient in released_names(name, parameter.grad):
            flat = gradient.double().flatten()
            wave = torch.cos(torch.arange(flat.numel(), dtype=torch.float64))
            found[f"gradient.{key}"] = torch.stack([flat.norm(), flat.sum(), flat @ wave])
    return found


def released_names(name, value):
    """transformers stacks the experts in two tensors; released checkpoints name each matrix."""
    if name.endswith("experts.gate_up_proj"):
        for e, both in enumerate(value):
            base = name.replace("gate_up_proj", str(e))
            gate_proj, up_proj = both.chunk(2)
            yield from ((f"{base}.gate_proj.weight", gate_proj), (f"{base}.up_proj.weight", up_proj))
    elif name.endswith("experts.down_proj"):
        for e, matrix in enumerate(value):
            yield name.replace("down_proj", f"{e}.down_proj.weight"), matrix
    else:
        yield name, value
