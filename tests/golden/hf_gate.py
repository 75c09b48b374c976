# SPDX-License-Identifier: MIT
"""The gate of Eqs. (12)-(16) written a second time, with each well-known mistake as an option.

The unmutated gate must agree with transformers on every token; each mutant must disagree somewhere. The generator
checks both, so a golden file never shows a configuration in which that mistake stays invisible.
"""
import torch

# name -> which configurations it applies to ("v3", "v2")
MUTANTS = {"mask_zero": "v3", "bias_in_weight": "v3", "no_bias": "v3", "unbiased_groups": "v3", "group_max": "v3",
           "no_groups": "v3 v2", "softmax": "v3", "normalise_over_all": "v3", "no_scaling": "v3 v2",
           "normalised": "v2", "group_top2": "v2"}


def top(values, count):
    """Indices of the `count` largest of each row, best first, the lower index first among equals."""
    return torch.sort(values, dim=-1, descending=True, stable=True).indices[:, :count]


def gate(config, logits, bias=None, mutant=None):
    """Experts [T, K_r], best first, their weights [T, K_r], and the smallest gap that decided a choice [T]."""
    is_v2 = config["scoring_func"] == "softmax"
    groups, kept, K = config["n_group"], config["topk_group"], config["num_experts_per_tok"]
    scores = logits.softmax(-1) if is_v2 or mutant == "softmax" else logits.sigmoid()
    chosen_by = scores if bias is None or mutant == "no_bias" else scores + bias
    grouped = (scores if mutant == "unbiased_groups" else chosen_by).view(len(logits), groups, -1)
    by_max = (is_v2 or mutant == "group_max") and mutant != "group_top2"
    group_score = grouped.amax(-1) if by_max else grouped.topk(2, dim=-1).values.sum(-1)
    if mutant == "no_groups":
        kept = groups
    mask = torch.zeros_like(group_score).scatter_(1, top(group_score, kept), 1).bool()
    mask = mask.repeat_interleave(grouped.shape[-1], dim=1)
    masked = chosen_by.masked_fill(~mask, 0.0 if mutant == "mask_zero" else float("-inf"))
    experts = top(masked, K)
    weights = (chosen_by if mutant == "bias_in_weight" else scores).gather(1, experts)
    if config["norm_topk_prob"] or mutant == "normalised":
        weights = weights / (scores.sum(-1, keepdim=True) if mutant == "normalise_over_all" else
                             weights.sum(-1, keepdim=True))
    if mutant != "no_scaling":
        weights = weights * config["routed_scaling_factor"]
    return experts, weights, margin(group_score, kept, masked, K)


def margin(group_score, kept, masked, K):
    """How far, per token, the last one chosen is from the first one left out, over groups and experts."""
    gaps = []
    for values, count in ((group_score, kept), (masked, K)):
        ordered = values.sort(dim=-1, descending=True).values
        if count < ordered.shape[1]:
            gaps.append(ordered[:, count - 1] - ordered[:, count])
    return torch.stack(gaps).amin(0)
