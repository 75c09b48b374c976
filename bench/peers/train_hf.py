#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Training speed of Hugging Face's DeepSeek-V3 on a CPU: forward, backward and AdamW in FP32, tokens per second.

    python3 bench/peers/train_hf.py --experts 8 32 256 --threads 1 2 > hf.jsonl

One JSON line for each number of experts, number of threads, implementation of the experts and of AdamW. The fields
`config`, `tokens_per_step` and `parameters` say what was run, so that another program can run the same. `median_s` is
over `steps` steps after `warmup` ones. `load` is the machine's load average before: on a busy machine compare, with one
thread, `tokens_per_cpu_s`, which counts only the seconds this process ran.
"""
import argparse
import json
import os
import statistics
import time

import torch
import transformers
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3Config, DeepseekV3ForCausalLM

BATCH, LENGTH = 4, 128
CONFIG = dict(
    vocab_size=2048, hidden_size=256, num_hidden_layers=4, first_k_dense_replace=1, intermediate_size=640,
    num_attention_heads=8, num_key_value_heads=8, q_lora_rank=128, kv_lora_rank=64, qk_nope_head_dim=32,
    qk_rope_head_dim=16, v_head_dim=32, moe_intermediate_size=128, n_shared_experts=1, num_experts_per_tok=4, n_group=4,
    topk_group=2, routed_scaling_factor=2.5, norm_topk_prob=True, rms_norm_eps=1e-6, max_position_embeddings=LENGTH,
    initializer_range=0.006, tie_word_embeddings=False, num_nextn_predict_layers=0, use_cache=False)
ADAMW = dict(lr=4.2e-4, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)


def build(num_experts, implementation, attention):
    torch.manual_seed(1)
    config = DeepseekV3Config(**CONFIG, n_routed_experts=num_experts)
    config._attn_implementation = attention
    model = DeepseekV3ForCausalLM(config)
    model.set_experts_implementation(implementation)
    return model.train()


def step_seconds(model, optimizer, steps, warmup):
    """(wall, CPU) seconds of each step: next-token cross entropy on uniform random tokens, new ones in each step."""
    random = torch.Generator().manual_seed(2)
    seconds = []
    for step in range(warmup + steps):
        tokens = torch.randint(CONFIG["vocab_size"], (BATCH, LENGTH + 1), generator=random)
        start, cpu_start = time.perf_counter(), time.process_time()
        optimizer.zero_grad(set_to_none=True)
        logits = model(tokens[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        if step >= warmup:
            seconds.append((time.perf_counter() - start, time.process_time() - cpu_start))
    assert loss.isfinite()
    return zip(*seconds)


def measure(arguments, num_experts, threads, implementation, adamw):
    torch.set_num_threads(threads)
    model = build(num_experts, implementation, arguments.attention)
    optimizer = torch.optim.AdamW(model.parameters(), **ADAMW, **{adamw: True})
    load = os.getloadavg()[0]
    wall, cpu = step_seconds(model, optimizer, arguments.steps, arguments.warmup)
    tokens, parameters = BATCH * LENGTH, sum(p.numel() for p in model.parameters())
    result = dict(peer="transformers", num_experts=num_experts, threads=threads, experts_implementation=implementation,
                  adamw=adamw, attention=arguments.attention, tokens_per_s=tokens / statistics.median(wall),
                  best_tokens_per_s=tokens / min(wall), tokens_per_cpu_s=tokens / statistics.median(cpu),
                  median_s=statistics.median(wall), best_s=min(wall), median_cpu_s=statistics.median(cpu), load=load)
    rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in result.items()}
    return rounded | dict(steps=arguments.steps, warmup=arguments.warmup, tokens_per_step=tokens, parameters=parameters)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experts", type=int, nargs="+", default=[8, 16, 32, 64, 128, 256])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--implementations", nargs="+", default=["eager", "grouped_mm"],
                        help="of the experts in transformers; batched_mm runs too, 20 times slower and with gigabytes")
    parser.add_argument("--adamw", nargs="+", default=["foreach", "fused"], choices=["foreach", "fused"])
    parser.add_argument("--attention", default="eager", choices=["eager", "sdpa"])
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--warmup", type=int, default=2)
    return parser.parse_args()


def main():
    arguments = parse()
    versions = dict(torch=torch.__version__, transformers=transformers.__version__)
    print(json.dumps(dict(versions=versions, config=CONFIG, adamw=ADAMW, batch=BATCH, length=LENGTH)), flush=True)
    for num_experts in arguments.experts:
        for threads in arguments.threads:
            for implementation in arguments.implementations:
                for adamw in arguments.adamw:
                    print(json.dumps(measure(arguments, num_experts, threads, implementation, adamw)), flush=True)


if __name__ == "__main__":
    main()
