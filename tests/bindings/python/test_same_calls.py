# SPDX-License-Identifier: MIT
"""The module and the command line give the same bits and the same words for the same call."""
import json

import numpy as np
import pytest
from safetensors.numpy import save_file

import dsv3

FILE_NAMES = dict(float64="F64", float32="F32", float16="F16", bfloat16="BF16", float8_e4m3fn="F8_E4M3",
                  float8_e5m2="F8_E5M2", int64="I64", int32="I32", uint8="U8", bool="BOOL")


def as_in_file(arrays):
    return {name: (FILE_NAMES[a.dtype.name], a.shape, a.tobytes()) for name, a in arrays.items()}


def with_one_bit_flipped(outputs):
    """In the last element of the last output, so that most of it stays."""
    others = {name: a.copy() for name, a in outputs.items()}
    list(others.values())[-1].reshape(-1)[-1:].view(np.uint8)[0] ^= 1
    return others


@pytest.mark.parametrize("op", dsv3.ops())
def test_every_kind_of_case_is_drawn_alike(op, program):
    for kind in dsv3.describe(op)["kinds"]:
        assert program("gen", op, "--kind", kind["name"], "--seed", 5, "-o", "case.safetensors").returncode == 0
        assert as_in_file(dsv3.gen(op, kind["name"], 5)) == program.tensors("case.safetensors")


@pytest.mark.parametrize("op", dsv3.ops())
def test_run_check_and_find_agree(op, program):
    case = dsv3.gen(op, seed=3)
    program("gen", op, "--seed", 3, "-o", "case.safetensors")
    assert program("run", op, "case.safetensors", "-o", "ours.safetensors").returncode == 0
    ours = dsv3.run(op, case)
    assert as_in_file(ours) == program.tensors("ours.safetensors")
    assert not any(np.may_share_memory(output, x) for output in ours.values() for x in case.values())
    theirs = with_one_bit_flipped(ours)
    save_file(theirs, program.folder / "theirs.safetensors")
    for name, outputs in ("ours", ours), ("theirs", theirs):
        said = program("check", op, "case.safetensors", f"{name}.safetensors")
        verdict = dsv3.check(op, case, outputs)
        assert (str(verdict), bool(verdict)) == (said.stdout, said.returncode == 0)
        assert verdict.json == json.loads(program("check", op, "case.safetensors", f"{name}.safetensors", "--json").stdout)
        said = program("find", op, "case.safetensors", f"{name}.safetensors")
        search = dsv3.find(op, case, outputs)
        assert (str(search), bool(search)) == (said.stdout, said.returncode == 0)
    assert dsv3.check(op, case, ours).agreement == dsv3.Agreement.BITS
    assert dsv3.check(op, case, theirs).json["agreement"] != "equal bit for bit"


@pytest.mark.parametrize("op", dsv3.ops())
def test_descriptions_are_the_same(op, program):
    assert getattr(dsv3, op).__doc__ == program("describe", op).stdout
    assert dsv3.describe(op) == json.loads(program("describe", op, "--json").stdout)


@pytest.mark.parametrize("call, arguments", [
    (lambda x: dsv3.describe("kast"), ["describe", "kast"]),
    (lambda x: dsv3.gen("cast", "odd"), ["gen", "cast", "--kind", "odd", "-o", "none"]),
    (lambda x: dsv3.gen("cast", Q=3), ["gen", "cast", "--set", "Q=3", "-o", "none"]),
    (lambda x: dsv3.gen("cast", M="x"), ["gen", "cast", "--set", "M=x", "-o", "none"]),
    (lambda x: dsv3.gen("cast", M=-1), ["gen", "cast", "--set", "M=-1", "-o", "none"]),
    (lambda x: dsv3.gen("cast", M=2**31, N=2), ["gen", "cast", "--set", "M=2147483648", "--set", "N=2", "-o", "none"]),
    (lambda x: dsv3.cast(x, format="fp7"), ["run", "cast", "x", "--set", "format=fp7", "-o", "none"]),
    (lambda x: dsv3.run("cast", {"x": x}, M=3), ["run", "cast", "x", "--set", "M=3", "-o", "none"]),
    (lambda x: dsv3.run("quantise", {"x": x}, group_cols=0.5), ["run", "quantise", "x", "--set", "group_cols=0.5", "-o", "none"]),
    (lambda x: dsv3.run("quantise", {"x": x}, group_cols=0), ["run", "quantise", "x", "--set", "group_cols=0", "-o", "none"]),
    (lambda x: dsv3.run("fp8_fprop", {"x": x}), ["run", "fp8_fprop", "x", "-o", "none"]),
    (lambda x: dsv3.check("cast", {"x": x}, {"x": x}), ["check", "cast", "x", "x"]),
    (lambda x: dsv3.find("cast", {"x": x}, {"x": x}), ["find", "cast", "x", "x"]),
])
def test_what_cannot_be_is_refused_in_the_same_words(call, arguments, program):
    x = np.zeros((2, 3), np.float32)
    save_file({"x": x}, program.folder / "x")
    with pytest.raises(dsv3.Error) as refusal:
        call(x)
    said = program(*arguments)
    assert said.returncode == 2
    assert said.stderr == f"dsv3 oracle: {str(refusal.value).removeprefix('oracle: ')}\n"
