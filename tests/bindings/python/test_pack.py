# SPDX-License-Identifier: MIT
"""docs/examples/check_pack.py accepts what the library gives and rejects what is wrong, for every op and kind of case."""
import os
import pathlib
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

import dsv3

EXAMPLES = pathlib.Path(__file__).resolve().parents[3] / "docs/examples"
sys.path.insert(0, str(EXAMPLES))
import check_pack  # noqa: E402

KINDS = [(op, kind["name"]) for op in dsv3.ops() for kind in dsv3.describe(op)["kinds"]]


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden") / "pack"
    subprocess.run([os.environ["DSV3_PROGRAM"], "oracle", "gen", "--all", "--out", folder], check=True)
    return folder


@pytest.fixture
def judged(pack, tmp_path, capsys):
    def judge(op, kind, outputs):
        save_file(outputs, tmp_path / "theirs")
        accepted = check_pack.accepts(pack / op / f"{kind}.safetensors", tmp_path / "theirs")
        said = capsys.readouterr().out
        assert accepted == ("OUTSIDE" not in said)
        return said

    with np.errstate(all="ignore"):
        yield judge


def required(op):
    return [output["name"] for output in dsv3.describe(op)["outputs"] if not output.get("optional")]


def test_a_pack_has_every_kind_of_case_and_the_contract_of_each_op(pack):
    assert {tuple(f.relative_to(pack).with_suffix("").parts) for f in pack.rglob("*.safetensors")} == set(KINDS)
    assert {f.parent.name for f in pack.rglob("contract.json")} == set(dsv3.ops())


def test_all_our_outputs_are_accepted(pack, tmp_path):
    for op, kind in KINDS:
        (tmp_path / op).mkdir(exist_ok=True)
        save_file(dsv3.run(op, dsv3.gen(op, kind)), tmp_path / op / f"{kind}.safetensors")
    done = subprocess.run([sys.executable, EXAMPLES / "check_pack.py", pack, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0 and "OUTSIDE" not in done.stdout, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) >= len(KINDS)
    assert done.stdout.endswith(f"\n{len(KINDS)} of {len(KINDS)} files compared, 0 not accepted\n")


def run_checker(*arguments):
    done = subprocess.run([sys.executable, EXAMPLES / "check_pack.py", *arguments], capture_output=True, text=True)
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) <= 1
    return done


def test_where_nothing_is_compared_the_checker_fails_and_says_where_it_looked(pack, tmp_path):
    ours = tmp_path / "deeper/theirs/cast"
    ours.mkdir(parents=True)
    for kind in "ordinary", "ties", "special", "all_bits":
        save_file(dsv3.run("cast", dsv3.gen("cast", kind)), ours / f"{kind}.safetensors")
    save_file({"x": np.zeros(1)}, tmp_path / "no_pack")
    for given, looked_for in (((tmp_path / "none", ours), tmp_path / "none/OP/KIND.safetensors"),
                              ((tmp_path, ours), tmp_path / "OP/KIND.safetensors"),
                              ((pack / "cast", ours), pack / "cast/OP/KIND.safetensors"),
                              ((pack, ours), ours / "adamw/bf16.safetensors"),
                              ((pack, ours.parents[1]), ours.parents[1] / "adamw/bf16.safetensors"),
                              ((pack / "cast/ties.safetensors", ours), ours)):
        done = run_checker(*given)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"check_pack.py: nothing was compared: {looked_for} is not there\n"
    done = run_checker(tmp_path / "no_pack", tmp_path / "no_pack")
    assert done.returncode == 1 and "nothing was compared: " in done.stderr and "has no outputs" in done.stderr
    done = run_checker(pack, ours.parent)  # some of them are there
    assert done.returncode == 1
    assert done.stdout.endswith(f"\n4 of {len(KINDS)} files compared, {len(KINDS) - 4} not accepted\n")


def test_the_checker_explains_itself_and_names_a_file_that_it_cannot_read(pack, tmp_path):
    whole = pack / "cast/ties.safetensors"
    for arguments, status in (((), 2), ((pack,), 2), (("--help",), 0)):
        done = run_checker(*arguments)
        assert done.returncode == status and "usage: check_pack.py PACK THEIRS" in done.stdout
    for size in 0, 5, 100, whole.stat().st_size - 1:
        (tmp_path / "short").write_bytes(whole.read_bytes()[:size])
        for arguments in (whole, tmp_path / "short"), (tmp_path / "short", whole):
            done = run_checker(*arguments)
            assert done.returncode == 1
            assert done.stderr.startswith(f"check_pack.py: {tmp_path}/short: is no whole safetensors file")


def test_experts_may_be_i32(judged):
    ours = dsv3.run("gate", dsv3.gen("gate"))
    assert "OUTSIDE" not in judged("gate", "ordinary", {**ours, "experts": ours["experts"].astype(np.int32)})


@pytest.mark.parametrize("op", dsv3.ops())
def test_a_wrong_element_a_wrong_shape_and_a_missing_output_are_rejected(op, judged):
    kind = dsv3.describe(op)["kinds"][0]["name"]
    ours = dsv3.run(op, dsv3.gen(op, kind))
    for name in required(op):
        wrong = ours[name].copy()
        last = wrong.reshape(-1)[-1:]
        if last.dtype.kind == "f":
            last[0] = 1e30
        else:
            last.view(np.uint8)[0] ^= 1
        said = judged(op, kind, {**ours, name: wrong})
        if f"{op} {kind} {name}: not judged" in said:
            assert op in ("model", "model_backward")  # end to end nothing bounds what rounding does
            continue
        assert f"{op} {kind} {name}: OUTSIDE: 1 of {wrong.size}, the first at" in said
        if ours[name].dtype == np.float32:
            assert "OUTSIDE: " in judged(op, kind, {**ours, name: np.full_like(ours[name], np.nan)})
        if ours[name].ndim > 0:
            assert f"{name}: OUTSIDE: is " in judged(op, kind, {**ours, name: ours[name][..., None]})
        assert f"{name}: OUTSIDE: is missing" in judged(op, kind, {n: x for n, x in ours.items() if n != name})


def test_products_in_another_order_and_in_bf16_are_accepted_and_a_bias_is_not(judged):
    case = dsv3.gen("fp8_fprop", "one_signed")
    ours = dsv3.run("fp8_fprop", case)["y"]
    in_full = dsv3.run("fp8_fprop", case, accumulation="fp32")["y"]
    assert "within the bound" in judged("fp8_fprop", "one_signed", {"y": in_full})
    assert "within the bound" in judged("fp8_fprop", "one_signed", {"y": in_full.astype(ml_dtypes.bfloat16)})
    assert "OUTSIDE" in judged("fp8_fprop", "one_signed", {"y": ours.astype(ml_dtypes.float8_e5m2)})
    biased = judged("fp8_fprop", "one_signed", {"y": in_full * np.float32(1 + 2**-8)})
    assert "OUTSIDE: each is within its bound, but together" in biased


def test_bf16_may_be_half_a_step_of_its_own_farther_off_and_no_more(judged):
    y = dsv3.run("rms_norm", dsv3.gen("rms_norm"))["y"]
    assert "y: within the bound" in judged("rms_norm", "ordinary", {"y": y.astype(ml_dtypes.bfloat16)})
    cut_off = (y.view(np.uint32) & 0xFFFF0000).view(np.float32)
    assert "y: OUTSIDE" in judged("rms_norm", "ordinary", {"y": cut_off.astype(ml_dtypes.bfloat16)})
    assert "y: OUTSIDE" in judged("rms_norm", "ordinary", {"y": y.astype(ml_dtypes.bfloat16).astype(np.float32)})


def test_what_is_not_judged_may_be_anything(pack, judged):
    contents, _ = check_pack.read(pack / "swiglu" / "special.safetensors")
    h = contents["outputs.h"][1].copy()
    not_judged = contents["bound.h"][1] == 255
    assert not_judged.any()
    for anything in np.nan, np.inf, 1.0:
        h[not_judged] = anything
        assert "h: OUTSIDE" not in judged("swiglu", "special", {"h": h})


def test_a_zero_of_the_other_sign_is_not_the_same_bits(pack, judged):
    y = check_pack.read(pack / "rms_norm" / "zeros.safetensors")[0]["outputs.y"][1]
    assert "y: equal bit for bit" in judged("rms_norm", "zeros", {"y": y})
    assert "y: within the bound" in judged("rms_norm", "zeros", {"y": np.where(y == 0, -y, y)})


def test_nan_is_like_another_and_zero_is_not_like_minus_zero(judged):
    ours = dsv3.run("cast", dsv3.gen("cast", "special"))["codes"].view(np.uint8).copy()
    assert (ours == 0x7F).any()
    as_codes = lambda codes: {"codes": codes.view(ml_dtypes.float8_e4m3fn)}  # noqa: E731
    assert "equal bit for bit" in judged("cast", "special", as_codes(np.where(ours == 0x7F, np.uint8(0xFF), ours)))
    assert "OUTSIDE" in judged("cast", "special", as_codes(np.where(ours == 0x80, np.uint8(0), ours)))


def routed(x, W, b, K_r, num_groups, kept_groups):
    """V3's gate in NumPy, with NumPy's order of sums."""
    s = 1 / (1 + np.exp(-np.clip(x @ W.T, -80, 80)))
    scores = s + b
    groups = np.sort(scores.reshape(len(x), num_groups, -1), axis=2)[:, :, -2:].sum(axis=2)
    kept = np.argsort(-groups, axis=1, kind="stable")[:, :kept_groups]
    dropped = np.ones((len(x), num_groups), bool)
    np.put_along_axis(dropped, kept, False, axis=1)
    scores[np.repeat(dropped, scores.shape[1] // num_groups, axis=1)] = -np.inf
    experts = np.argsort(-scores, axis=1, kind="stable")[:, :K_r].copy()  # save_file takes no views
    g = np.take_along_axis(s, experts, axis=1)
    return {"experts": experts, "weights": (g / g.sum(axis=1, keepdims=True) * np.float32(2.5)).astype(np.float32)}


@pytest.mark.parametrize("kind", [k for op, k in KINDS if op == "gate" and k != "v2"])
def test_choices_that_rounding_may_tip_are_not_judged_and_all_others_are(kind, judged):
    case = dsv3.gen("gate", kind)
    theirs = routed(**case, **{name: case.attributes[name] for name in ("K_r", "num_groups", "kept_groups")})
    assert "OUTSIDE" not in judged("gate", kind, theirs)
    theirs["experts"][:, -1] = (theirs["experts"][:, -1] + 1) % case["W"].shape[0]
    for wrong in (theirs["experts"][:, :1].repeat(case.attributes["K_r"], axis=1), theirs["experts"] - 300,
                  np.where(theirs["experts"] == theirs["experts"][0, 0], case["W"].shape[0], theirs["experts"])):
        assert "experts: OUTSIDE" in judged("gate", kind, {**theirs, "experts": wrong})
    if kind not in ("near_ties", "equal_experts"):  # there nearly every choice is rounding's
        assert "experts: OUTSIDE" in judged("gate", kind, theirs)
