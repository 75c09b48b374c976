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


def test_a_case_without_metadata_and_one_without_elements_are_spoken_of_alike(program):
    for case in dsv3.gen("quantise"), dsv3.gen("quantise", M=0):
        save_file(case, program.folder / "case")
        save_file(ours := dsv3.run("quantise", case), program.folder / "ours")
        for name, ask in ("check", dsv3.check), ("find", dsv3.find):
            said, answer = program(name, "quantise", "case", "ours"), ask("quantise", dict(case), ours)
            assert (str(answer), bool(answer)) == (said.stdout, said.returncode == 0)
            assert answer.json == json.loads(program(name, "quantise", "case", "ours", "--json").stdout)
            assert said.stdout.startswith("attributes that the case does not name have their defaults: format=e4m3, ")
        said = program("run", "quantise", "case", "-o", "again")
        assert said.stderr.startswith("dsv3 oracle: attributes that the case does not name have their defaults: format=")
        assert as_in_file(ours) == program.tensors("again")


def test_whole_numbers_may_be_written_with_a_point(program):
    assert program("gen", "gate", "--set", "K_r=8.0", "T=4.0", "-o", "case").returncode == 0
    assert as_in_file(dsv3.gen("gate", K_r=8.0, T=4.0)) == program.tensors("case") == as_in_file(dsv3.gen("gate", K_r=8, T=4))


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
    (lambda x: dsv3.gen("rope", W=3), ["gen", "rope", "--set", "W=3", "-o", "none"]),
    (lambda x: dsv3.gen("gate", K_r=64), ["gen", "gate", "--set", "K_r=64", "-o", "none"]),
    (lambda x: dsv3.gen("gate", K_r=4.5), ["gen", "gate", "--set", "K_r=4.5", "-o", "none"]),
    (lambda x: dsv3.gen("cast", M=4.5), ["gen", "cast", "--set", "M=4.5", "-o", "none"]),
    (lambda x: dsv3.gen("model", T=0), ["gen", "model", "--set", "T=0", "-o", "none"]),
    (lambda x: dsv3.gen("adamw", beta1=1), ["gen", "adamw", "--set", "beta1=1", "-o", "none"]),
    (lambda x: dsv3.gen("linear", T=2**20, N=2**20), ["gen", "linear", "--set", "T=1048576", "N=1048576", "-o", "none"]),
    (lambda x: dsv3.gen("linear", T=2**31, K=0), ["gen", "linear", "--set", "T=2147483648", "K=0", "-o", "none"]),
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
