#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that docs/fp8.md says what its experiments gave, and that they still give it. Standard library only.

  1. The tables in the page are what `dsv3 fp8 --resume` prints of the committed curves (fp8_tiny, fp8_tour, fp8_small).
  2. The first steps of a few of these runs, trained anew, have the committed losses.
  3. `dsv3 fp8 gradients` gives gradients.json, and the page its table.

Done by `./dsv3`, which installs the text. The experiments themselves take hours: see the page for their commands.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PAGE = (HERE.parent / "fp8.md").read_text()
STEPS = 12
TOLERANCE = 1e-4  # of a loss: machines without FMA round elsewhere
problems = []


def run(*arguments):
    return subprocess.run([ROOT / "dsv3", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def expect(ok, what):
    if not ok:
        problems.append(what)


def table_of(results):
    """What the program says of committed curves, of which seed 1 has every variant."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("settings.json", "fp8.json"):
            shutil.copy(results / name, folder)
        printed = run("fp8", "--resume", "--seeds", "1", "--out", folder, "--variants", *variants(results))
    return printed[:printed.rindex(folder)]


def curves(results):
    return {v["name"]: dict(zip(v["seeds"], v["loss"])) for v in json.loads((results / "fp8.json").read_text())["variants"]}


def variants(results):
    return [name for name in curves(results) if name != "bf16"]


def first_losses(settings, precision):
    """Of a run that begins anew with these settings, and is ended."""
    options = {"config": "config", "steps": "steps", "sequences": "sequences", "length": "sequence_length",
               "micro-batch": "micro_batch", "learning-rate": "learning_rate", "moments": "moments", "seed": "seed"}
    with tempfile.TemporaryDirectory() as folder:
        command = [ROOT / "dsv3", "train", "--json", "--evaluate-every", "0", "--precision", precision, "--out", folder]
        for option, field in options.items():
            command += [f"--{option}", str(settings[field])]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as training:
            losses = [json.loads(training.stdout.readline())["loss"] for _ in range(STEPS)]
            training.kill()
    return losses


def check_curves(results, names):
    settings = json.loads((results / "settings.json").read_text())
    for name in names:
        precision = name if name in ("bf16", "fp32", "fp8") else f"fp8:{name}"
        for step, (now, then) in enumerate(zip(first_losses(settings, precision), curves(results)[name][1]), 1):
            expect(abs(now - then) <= TOLERANCE * then, f"{results.name}, {name}, step {step}: {now} now, {then} committed")


def gradient_table(rows):
    yield "| gradients in | error | least .. most |"
    yield "|---|---|---|"
    for row in rows:
        yield f"| {row['name']} | {100 * row['error']:.2f}% | {100 * row['least']:.2f} .. {100 * row['most']:.2f}% |"


def main():
    for name, names in {"fp8_tiny": ["bf16", "fp8", "delayed"], "fp8_tour": ["fp8"], "fp8_small": ["fp8"]}.items():
        expect(table_of(HERE / name) in PAGE, f"docs/fp8.md does not have the table of {name}:\n{table_of(HERE / name)}")
        check_curves(HERE / name, names)
    committed = json.loads((HERE / "gradients.json").read_text())
    now = json.loads(run("fp8", "gradients", "--json"))
    for a, b in zip(now["gradients"], committed["gradients"], strict=True):
        expect(a["name"] == b["name"] and abs(a["error"] - b["error"]) <= 0.02 * b["error"],
               f"gradients in {b['name']}: {a['error']} now, {b['error']} committed")
    table = "\n".join(gradient_table(committed["gradients"]))
    expect(table in PAGE, f"docs/fp8.md does not have the table of gradients.json:\n{table}")
    print("\n".join(problems) or "docs/fp8.md: its tables are those of its experiments, which begin as they did")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
