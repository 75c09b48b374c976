#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Training speed of dsv3 beside Hugging Face's DeepSeek-V3 on this machine: the same model, FP32, AdamW.

    python3 -m venv peer && peer/bin/pip install torch transformers
    python3 bench/compare_training.py --peer-python peer/bin/python

The two run in turn, each time in a fresh process, so that a machine that slows down slows down both. With one thread
the seconds are those the program itself spends; with more, those of the wall clock. The peer's variants are its two
implementations of the experts, each with its fastest AdamW. Ours clips the gradient as well; the peer does not.
"""
import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def json_lines(command):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{command[0]} failed with status {done.returncode}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def ours(arguments, experts, threads):
    """(tokens per second, part of the ceiling of multiply-adds, that ceiling, parameters)"""
    row, = json_lines([arguments.dsv3, "bench", f"step_{experts}", "--json", "--threads", threads, "--rounds",
                       arguments.steps])
    parameters = int(re.search(r"(\d+) parameters", row["what"])[1])
    return row["tokens/s"]["median"], row["part_of_ceiling"]["median"], row["ceiling_value"], parameters


def peer(arguments, experts, threads, implementation):
    """(tokens per second, parameters)"""
    row = json_lines([arguments.peer_python, ROOT / "bench/peers/train_hf.py", "--experts", experts, "--threads",
                      threads, "--implementations", implementation, "--adamw", "fused", "--steps", arguments.steps])[-1]
    return row["tokens_per_cpu_s" if threads == 1 else "tokens_per_s"], row["parameters"]


def compare(arguments, experts, threads, implementation):
    speed, peer_speed, parts = [], [], []
    for _ in range(arguments.rounds):
        tokens, part, ceiling, parameters = ours(arguments, experts, threads)
        peer_tokens, peer_parameters = peer(arguments, experts, threads, implementation)
        if parameters != peer_parameters:
            sys.exit(f"not the same model: {parameters} parameters here, {peer_parameters} in the peer")
        speed.append(tokens), peer_speed.append(peer_tokens), parts.append((part, ceiling))
    ratios = [a / b for a, b in zip(speed, peer_speed)]
    part, ceiling = (statistics.median(values) for values in zip(*parts))
    print(f"{experts:7} {threads:7} {implementation:>11} {statistics.median(speed):9.0f} "
          f"{statistics.median(peer_speed):9.0f}   {statistics.median(ratios):5.2f} "
          f"({min(ratios):.2f} .. {max(ratios):.2f})   {100 * part:4.0f}% of {ceiling:.0f} GFLOP/s", flush=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", required=True, help="an interpreter that has torch and transformers")
    parser.add_argument("--dsv3", default=ROOT / "build/release/dsv3", help="the built program")
    parser.add_argument("--experts", type=int, nargs="+", default=[8, 32, 256])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--implementations", nargs="+", default=["grouped_mm", "eager"])
    parser.add_argument("--rounds", type=int, default=3, help="turns of each program")
    parser.add_argument("--steps", type=int, default=7, help="steps in a turn; their median counts")
    return parser.parse_args()


def main():
    arguments = parse()
    print("experts threads        peer   tokens/s    peer's   ratio (least .. most)   ours: products / ceiling")
    for experts in arguments.experts:
        for threads in arguments.threads:
            for implementation in arguments.implementations:
                compare(arguments, experts, threads, implementation)


if __name__ == "__main__":
    main()
