# SPDX-License-Identifier: MIT
"""The programs that the pages show do what the pages say."""
import os
import pathlib
import subprocess
import sys

import pytest

import dsv3

EXAMPLES = pathlib.Path(__file__).resolve().parents[3] / "docs/examples"


def python(*arguments, folder):
    done = subprocess.run([sys.executable, *map(str, arguments)], cwd=folder, env=os.environ, capture_output=True,
                          text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", [kind["name"] for kind in dsv3.describe("quantise")["kinds"]])
def test_quantise_in_numpy_is_equal_bit_for_bit(kind, program):
    oracle = f"{os.environ['DSV3_PROGRAM']} oracle"
    line = (f"{oracle} gen quantise --kind {kind} -o - | tee case.safetensors | "
            f"{sys.executable} {EXAMPLES / 'quantise.py'} | {oracle} check quantise case.safetensors -")
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=program.folder, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("equal bit for bit") == 2


def test_ask_shows_verdict_and_convention(tmp_path):
    said = python(EXAMPLES / "ask.py", folder=tmp_path)
    assert "s: OUTSIDE" in said and "equal bit for bit: dialect=deepep_kernel instead of deepseek_v3" in said


def test_files_are_the_command_lines(program):
    said = python(EXAMPLES / "files.py", folder=program.folder)
    assert said.startswith("fp8_fprop {") and "'x_q': 'float8_e4m3fn'" in said
    program("gen", "fp8_fprop", "--kind", "ragged", "-o", "drawn.safetensors")
    assert program.tensors("drawn.safetensors") == program.tensors("case.safetensors")
    said = program("check", "fp8_fprop", "case.safetensors", "outputs.safetensors")
    assert said.returncode == 0 and said.stdout.startswith("y: equal bit for bit")


def test_the_test_of_a_kernel_passes(tmp_path):
    assert "passed" in python("-m", "pytest", "-q", "-p", "no:cacheprovider", EXAMPLES / "test_fprop.py", folder=tmp_path)
