#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/golden/hf/: tiny random DeepSeek checkpoints and what transformers computes with them.

    pip install torch transformers safetensors        (versions: tests/golden/README.md)
    python3 tests/golden/make_hf_goldens.py [FOLDER]

Everything is seeded; two runs with the same versions on the same machine give the same bytes.
"""
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoConfig
from transformers.utils import logging

import hf_run
from hf_cases import make_gate_cases, make_rope_cases
from hf_models import ARCHITECTURES, generator, random_weights, stored_weights, write_checkpoint
from hf_mtp import add_mtp
from hf_mutants import check_mutants

PROMPTS = {"v3_fp8": (12,), "v3_long": (1500,)}  # tokens of each prompt; (24, 13) elsewhere
MARGINS = {"v3_long": 1e-5}  # 3000 choices: no seed has wide margins for all; routers agree to about 1e-6
LAST_ROWS = 200  # of v3_long, whose values are too many


def prompts(name, config):
    return [torch.randint(config["vocab_size"], (T,), generator=generator(name, "prompt", p))
            for p, T in enumerate(PROMPTS.get(name, (24, 13)))]


def release(name, root):
    """Draws weights until every routing margin is wide enough, writes the checkpoint, returns the loaded model."""
    config = ARCHITECTURES[name]
    for seed in range(1000):
        files, values = stored_weights(config, random_weights(name, config, seed))
        plain = {key: value for key, value in config.items() if key != "quantization_config"}
        with tempfile.TemporaryDirectory() as folder:
            write_checkpoint(Path(folder), {**plain, "torch_dtype": "float32"}, values)
            model = hf_run.load(folder)
        runs = [hf_run.record(model, config, tokens) for tokens in prompts(name, config)]
        margins = [run[key] for run in runs for key in run if key.endswith("gate.margin")]
        if torch.cat(margins).min() > MARGINS.get(name, hf_run.MIN_MARGIN):
            write_checkpoint(root / name, config, files, shards=3 if name == "v3_plain" else 1)
            return model, values, runs, seed
    raise RuntimeError(f"{name}: no seed gives wide enough margins")


def flatten(runs):
    return {f"prompt.{p}.{key}": value.contiguous() for p, run in enumerate(runs) for key, value in run.items()}


def make_model(name, root):
    config = ARCHITECTURES[name]
    model, values, runs, seed = release(name, root)
    moves = check_mutants(name, model, config, runs[0]["tokens"])
    extra = {}
    if name == "v3_mtp":
        add_mtp(model, config, values, runs, moves)
        assert min(run["mtp.gate.margin"].min() for run in runs) > hf_run.MIN_MARGIN
    if name == "v3_yarn":
        extra = hf_run.gradients(model, runs[0]["tokens"])
        AutoConfig.from_pretrained(root / name).to_json_file(root / name / "config.transformers5.json")
    if name == "v3_long":
        runs = [{"tokens": run["tokens"], "logits": run["logits"][-LAST_ROWS:]} for run in runs]
    save_file({**flatten(runs), **extra}, root / name / "golden.safetensors")
    spread = torch.cat([run["logits"].flatten() for run in runs])
    print(f"{name}: seed {seed}, logits std {spread.std():.2f} max {spread.abs().max():.2f}")
    print("   ", ", ".join(f"{mutant} {move:.2g}" for mutant, move in moves.items()))


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "hf")
    root.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    for name in ARCHITECTURES:
        make_model(name, root)
    make_gate_cases(root)
    make_rope_cases(root)


if __name__ == "__main__":
    main()
