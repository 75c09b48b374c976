# SPDX-License-Identifier: MIT
"""The Multi-Token Prediction module, Eqs. (21)-(23), on top of transformers' own layer and norm.

transformers keeps the module apart from the model (a drafter for generation), so it is written out here and compared
with that drafter.
"""
import torch
from transformers.masking_utils import create_causal_mask
from transformers.modeling_layers import MtpModel
from transformers.models.deepseek_v3 import modeling_deepseek_v3 as modeling

from hf_mutants import VISIBLE
from hf_run import first, keep_routing, released_names


def mtp_parts(model, config, values):
    """The MTP module of the checkpoint built from transformers' own layer and norm."""
    L, d = config["num_hidden_layers"], config["hidden_size"]
    prefix = f"model.layers.{L}."
    own = {key[len(prefix):]: value for key, value in values.items() if key.startswith(prefix)}

    def norm(key):
        module = modeling.DeepseekV3RMSNorm(d, eps=config["rms_norm_eps"])
        module.weight.data = own[f"{key}.weight"]
        return module
    block = modeling.DeepseekV3DecoderLayer(model.config, L)
    state = {}
    for key, parameter in block.state_dict().items():
        parts = [own[part] for part, _ in released_names(key, parameter)]
        if key.endswith("gate_up_proj"):
            parts = [torch.cat(pair) for pair in zip(parts[::2], parts[1::2])]
        state[key] = torch.stack(parts) if "mlp.experts." in key else parts[0]
    block.load_state_dict(state)
    eh_proj = torch.nn.Linear(2 * d, d, bias=False)
    eh_proj.weight.data = own["eh_proj.weight"]
    return dict(enorm=norm("enorm"), hnorm=norm("hnorm"), eh_proj=eh_proj, block=block.eval(),
                norm=norm("shared_head.norm"))


def add_mtp(model, config, values, runs, moves):
    """prompt.P.mtp.logits, and the mistakes of traps 21 and 22 made visible."""
    mtp = mtp_parts(model, config, values)
    for run in runs:
        run |= record_mtp(model, config, mtp, run["tokens"])
        right = run["mtp.logits"]
        check_against_transformers_mtp(model, mtp, run["tokens"], right)
        d = config["hidden_size"]
        weight = mtp["eh_proj"].weight.data
        for mutant, change in {"mtp_hidden_first": dict(eh_proj=swapped(weight, d)),
                               "mtp_main_norm": dict(norm=model.model.norm),
                               "mtp_norms_exchanged": dict(enorm=mtp["hnorm"], hnorm=mtp["enorm"])}.items():
            move = (mtp_logits(model, {**mtp, **change}, run["tokens"]) - right).abs().max().item()
            assert move > VISIBLE, mutant
            moves.setdefault(mutant, move)


def swapped(weight, d):
    linear = torch.nn.Linear(2 * d, d, bias=False)
    linear.weight.data = torch.cat([weight[:, d:], weight[:, :d]], dim=1)
    return linear


def check_against_transformers_mtp(model, mtp, tokens, logits):
    """transformers' own MTP module with the same weights. It rotates with position i+1: relative positions are the
    same. Its drafts start from hidden_states[-1], which is after the final norm."""
    theirs = MtpModel(model, 1).eval()
    layer = theirs.layers[0]
    for part, module in (("enorm", layer.enorm), ("hnorm", layer.hnorm), ("eh_proj", layer.eh_proj),
                         ("block", layer.mtp_block), ("norm", layer.post_norm)):
        module.load_state_dict(mtp[part].state_dict())
    with torch.no_grad():
        outputs = model.model(tokens[None], use_cache=False, output_hidden_states=True)
        assert torch.equal(outputs.hidden_states[-1], outputs.last_hidden_state)
        hidden, position = outputs.last_hidden_state[:, :-1], torch.arange(1, len(tokens))[None]
        embedding = model.model.embed_tokens(tokens[None, 1:])
        mask = create_causal_mask(config=model.config, inputs_embeds=embedding, attention_mask=None,
                                         past_key_values=None, position_ids=position)
        out = layer(embedding, hidden, model.model.rotary_emb(hidden, position), mask, position, None)
    torch.testing.assert_close(model.lm_head(out)[0], logits, rtol=1e-4, atol=1e-4)


def mtp_logits(model, mtp, tokens):
    """Logits [T-1, V] of MTP module 1, Eqs. (21)-(23), in the order of the released weights: [embedding; hidden].

    `mtp` holds the module's parts: enorm, hnorm, eh_proj, block, norm. Position i (from 0) reads the main model's
    representation h_i after the final norm and the embedding of token i+1, rotates with position i and predicts token
    i+2. Embedding and head are the main model's.
    """
    with torch.no_grad():
        hidden = model.model(tokens[None], use_cache=False).last_hidden_state[:, :-1]
        embedding = model.model.embed_tokens(tokens[None, 1:])
        x = mtp["eh_proj"](torch.cat([mtp["enorm"](embedding), mtp["hnorm"](hidden)], dim=-1))
        position = torch.arange(x.shape[1])[None]
        mask = create_causal_mask(config=model.config, inputs_embeds=x, attention_mask=None, past_key_values=None,
                                  position_ids=position)
        x = mtp["block"](x, attention_mask=mask, position_embeddings=model.model.rotary_emb(x, position))
        return model.lm_head(mtp["norm"](first(x)))[0]


def record_mtp(model, config, mtp, tokens):
    """mtp.logits and the routing in the module's block."""
    seen = {}
    hook = mtp["block"].mlp.gate.register_forward_hook(keep_routing(config, seen, "mtp.gate"))
    seen["mtp.logits"] = mtp_logits(model, mtp, tokens)
    hook.remove()
    return seen
