# SPDX-License-Identifier: MIT
"""load and save read and write the files of the command line, also those with FP8, both ways."""
import json

import ml_dtypes
import numpy as np
import pytest

import dsv3
from dsv3._arrays import DTYPES


def same(a, b):
    as_bytes = lambda arrays: {n: (x.dtype, x.shape, x.tobytes()) for n, x in arrays.items()}  # noqa: E731
    return as_bytes(a) == as_bytes(b)


def test_a_case_of_the_command_line_is_that_of_gen(program):
    program("gen", "fp8_fprop", "--kind", "ragged", "--seed", 4, "-o", "case")
    loaded, drawn = dsv3.load(program.folder / "case"), dsv3.gen("fp8_fprop", "ragged", 4)
    assert same(loaded, drawn) and loaded["x_q"].dtype == ml_dtypes.float8_e4m3fn
    assert loaded.attributes == drawn.attributes and "accumulation" in loaded.attributes
    assert loaded.metadata == drawn.metadata == {"dsv3_op": "fp8_fprop"}


@pytest.mark.parametrize("op, attributes", [("fp8_fprop", {"accumulation": "fp32"}), ("quantise", {"dialect": "deepgemm"})])
def test_the_command_line_takes_a_saved_case_with_its_attributes_and_saved_outputs(op, attributes, program):
    case = dsv3.gen(op, seed=2)
    ours = dsv3.run(op, case, **attributes)
    dsv3.save(program.folder / "case", case, attributes)
    dsv3.save(program.folder / "ours", ours)
    said = program("check", op, "case", "ours")
    assert said.returncode == 0 and said.stdout.startswith(f"{list(ours)[0]}: equal bit for bit"), said
    assert program("check", "cast", "case", "ours").returncode == 2  # a case of another op
    program("run", op, "case", "-o", "again")
    assert same(dsv3.load(program.folder / "again"), ours)
    assert dsv3.load(program.folder / "case").attributes == {**case.attributes, **attributes}
    assert dsv3.check(op, dsv3.load(program.folder / "case"), dsv3.load(program.folder / "again"))


def test_every_type_and_shape_comes_back_and_may_be_changed(tmp_path):
    rng = np.random.default_rng(1)
    arrays = {f"{t.name} {i}": rng.integers(0, 2, shape).astype(t)
              for t in DTYPES for i, shape in enumerate([(), (0, 3), (3,), (5, 7)])}
    dsv3.save(tmp_path / "all", arrays)
    loaded = dsv3.load(str(tmp_path / "all"))
    assert same(loaded, arrays) and loaded.attributes == {} and loaded.metadata == {}
    assert all(x.flags.aligned for x in loaded.values())
    loaded["float32 3"][0, 0] = 3
    dsv3.save(tmp_path / "transposed", {"x": arrays["float32 3"].T})
    assert same(dsv3.load(tmp_path / "transposed"), {"x": arrays["float32 3"].T.copy()})


def test_a_pack_shows_its_metadata(program):
    program("gen", "cast", "--all", "-o", "pack")
    loaded = dsv3.load(program.folder / "pack/cast/special.safetensors")
    assert loaded.metadata["dsv3_kind"] == "special" and "outputs.codes" in loaded and loaded.attributes["format"] == "e4m3"


def file_of(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def tensor(dtype="F32", shape=(1,), data_offsets=(0, 4)):
    return {"x": {"dtype": dtype, "shape": shape, "data_offsets": data_offsets}}


@pytest.mark.parametrize("contents, message", [
    (b"", "is no whole safetensors file"), (b"\xff" * 20, "is no whole safetensors file"), (file_of([1]), "is no whole"),
    (file_of(b"[" * 100000), "is no whole"), (file_of({"x": 3}), "is no whole"), (file_of({"x": {}}), "is no whole"),
    (file_of(tensor(), b"123"), "x has not the 4 bytes that [1] of F32 needs"),
    (file_of(tensor(data_offsets=(4, 0)), b"1234"), "x has not the 4 bytes"),
    (file_of(tensor(data_offsets=(-4, 0)), b"1234"), "no shape and place in whole numbers"),
    (file_of(tensor(shape=(1.0,)), b"1234"), "no shape and place in whole numbers"),
    (file_of(tensor("U16"), b"1234"), "x: is U16; it must be one of F64, F32"),
    (file_of({"__metadata__": {"dsv3_attributes": "3"}}), "dsv3_attributes is no JSON object"),
])
def test_what_is_no_file_of_this_kind_is_refused(contents, message, tmp_path):
    (tmp_path / "file").write_bytes(contents)
    with pytest.raises(dsv3.Error) as refusal:
        dsv3.load(tmp_path / "file")
    assert str(refusal.value).startswith(f"{tmp_path}/file: ") and message in str(refusal.value)


def test_what_cannot_be_saved_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        dsv3.load(tmp_path / "none")
    for arrays in [1.0], {"x": np.zeros(1, complex)}, {3: np.zeros(1)}:
        with pytest.raises(TypeError):
            dsv3.save(tmp_path / "none", arrays)
    for arrays, attributes in ({"__metadata__": np.zeros(1)}, None), ({}, {"a": float("nan")}):
        with pytest.raises(dsv3.Error):
            dsv3.save(tmp_path / "none", arrays, attributes)
    assert not (tmp_path / "none").exists()
