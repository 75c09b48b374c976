# SPDX-License-Identifier: MIT
"""Functions, stubs and the helper for tests come from the registry."""
import ast
import inspect
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

import dsv3
from dsv3 import _library, testing

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "bindings/python"))
import write_stubs  # noqa: E402

STUBS = write_stubs.stubs(_library.load())


def parameters_of(definition):
    a = definition.args
    assert not (a.posonlyargs or a.vararg or a.kwarg or a.defaults)
    return [p.arg for p in a.args], {p.arg: ast.literal_eval(d) for p, d in zip(a.kwonlyargs, a.kw_defaults)}


@pytest.mark.parametrize("op", dsv3.ops())
def test_each_op_is_a_function_with_its_signature_in_module_and_stub(op):
    description = dsv3.describe(op)
    inputs = [t["name"].replace(".", "_") for t in description["inputs"]]
    attributes = {a["name"]: a["default"] for a in description["attributes"]}
    parameters = inspect.signature(getattr(dsv3, op)).parameters.values()
    assert [p.name for p in parameters if p.default is p.empty] == inputs
    assert {p.name: p.default for p in parameters if p.kind == p.KEYWORD_ONLY} == attributes
    stub = {d.name: d for d in ast.parse(STUBS).body if isinstance(d, ast.FunctionDef)}[op]
    assert parameters_of(stub) == (inputs, attributes)
    assert ast.get_docstring(stub, clean=False) == getattr(dsv3, op).__doc__
    names = [*inputs, *attributes]
    assert len(set(names)) == len(names) and not {"kind", "seed"} & set(names)  # gen has these of its own


def test_the_stub_exports_what_the_module_does():
    exported = [a.value for a in ast.parse(STUBS).body if isinstance(a, ast.Assign) and a.targets[0].id == "__all__"]
    assert ast.literal_eval(exported[0]) == dsv3.__all__


def test_the_function_is_run():
    case = dsv3.gen("quantise", "groups", M=9)
    by_name = dsv3.run("quantise", case, dialect="deepep_kernel")
    by_function = dsv3.quantise(case["x"], dialect="deepep_kernel")
    assert all(a.tobytes() == by_name[name].tobytes() for name, a in by_function.items())
    with pytest.raises(TypeError, match="missing a required argument: 'x'"):
        dsv3.quantise()
    with pytest.raises(TypeError, match="unexpected keyword argument 'dialekt'"):
        dsv3.quantise(case["x"], dialekt="deepep_kernel")


def test_the_installed_stub_is_that_of_the_registry():
    installed = pathlib.Path(dsv3.__file__).with_name("__init__.pyi")
    if not installed.exists():
        pytest.skip("the module is used from the source tree, which has no stub")
    assert installed.read_text(encoding="utf-8") == STUBS


def test_mypy_accepts_module_and_stub(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "dsv3").symlink_to(pathlib.Path(dsv3.__file__).parent)
    stub = tmp_path / "stubs" / "dsv3_stub.pyi"
    stub.parent.mkdir()
    stub.write_text(STUBS, encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", "-p", "dsv3",
                           "-m", "dsv3_stub"], cwd=tmp_path, env={"MYPYPATH": f"{tmp_path}:{stub.parent}"},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_case_keeps_its_attributes_and_a_call_may_change_them():
    case = dsv3.gen("quantise", dialect="deepep_kernel", group_cols=64)
    assert case.attributes["group_cols"] == 64
    theirs = dsv3.quantise(case["x"], dialect="deepep_kernel", group_cols=64)
    assert dsv3.check("quantise", case, theirs).agreement == dsv3.Agreement.BITS
    assert not dsv3.check("quantise", dict(case), theirs)
    assert not dsv3.check("quantise", case, theirs, dialect="deepseek_v3")
    assert dsv3.run("quantise", case, group_cols=128)["s"].shape == (64, 4)


@pytest.mark.parametrize("op", dsv3.ops())
def test_every_function_takes_a_case_as_its_arguments(op):
    case = dsv3.gen(op)
    by_name = dsv3.run(op, case)
    by_function = getattr(dsv3, op)(**{name.replace(".", "_"): x for name, x in case.items()}, **case.attributes)
    assert {name: a.tobytes() for name, a in by_function.items()} == {name: a.tobytes() for name, a in by_name.items()}


def test_attributes_that_nobody_gave_are_said_to_be_the_defaults():
    case = dsv3.gen("quantise", dialect="deepep_kernel")
    ours = dsv3.run("quantise", case)
    remark = ("attributes that the case does not name have their defaults: format=e4m3, group_rows=1, group_cols=128, "
              "scale=fp32, rounding=nearest_even")
    for ask in dsv3.check, dsv3.find:
        assert ask("quantise", case, ours).json["remarks"] == []
        said = ask("quantise", dict(case), ours, dialect="deepep_kernel")
        assert said.json["remarks"] == [remark] and str(said).splitlines()[0] == remark


def test_find_names_the_convention():
    case = dsv3.gen("quantise", "groups")
    search = dsv3.find("quantise", case, dsv3.run("quantise", case, rounding="toward_zero"))
    assert search and search.found and search.json["best"][0]["changed"] == {"rounding": "toward_zero"}
    assert "equal bit for bit: rounding=toward_zero instead of nearest_even" in str(search)


def test_assert_matches_accepts_what_is_right_and_what_is_within_the_bound():
    case = dsv3.gen("fp8_fprop")
    y = dsv3.run("fp8_fprop", case)["y"]
    assert testing.assert_matches("fp8_fprop", case, y).agreement == dsv3.Agreement.BITS
    in_full = dsv3.run("fp8_fprop", case, accumulation="fp32")
    assert testing.assert_matches("fp8_fprop", case, in_full).agreement == dsv3.Agreement.WITHIN


def test_assert_matches_says_verdict_and_convention():
    case = dsv3.gen("quantise", "groups")
    theirs = dsv3.run("quantise", case, dialect="deepseek_v32")
    with pytest.raises(AssertionError) as failure:
        testing.assert_matches("quantise", case, theirs)
    verdict, search = dsv3.check("quantise", case, theirs), dsv3.find("quantise", case, theirs)
    assert str(failure.value) == f"quantise\n{verdict}{search}".rstrip()
    assert re.search(r"s: OUTSIDE\n.*first at .*bound 0", str(failure.value), re.S)
    with pytest.raises(AssertionError, match="q is missing"):
        testing.assert_matches("quantise", case, {"s": theirs["s"]})
    with pytest.raises(AssertionError):  # NaN is not a number that is near
        testing.assert_matches("fp8_fprop", dsv3.gen("fp8_fprop"), np.full((64, 128), np.nan, np.float32))
