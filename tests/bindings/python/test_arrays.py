# SPDX-License-Identifier: MIT
"""Arrays of every layout and owner go in, without a copy where they are in order, and come out alive."""
import gc
import threading

import ml_dtypes
import numpy as np
import pytest

import dsv3
import dsv3.testing
from dsv3._arrays import DTYPES, to_numpy

RANDOM = np.random.default_rng(1)


def numbers(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def codes_of(x, **attributes):
    return dsv3.cast(x, **attributes)["codes"].view(np.uint8).tolist()


@pytest.mark.parametrize("changed", [
    lambda x: x.T.copy().T, lambda x: np.repeat(x, 2, axis=1)[:, ::2], lambda x: x[::-1].copy()[::-1],
    lambda x: x.astype(">f4"), lambda x: np.broadcast_to(x, (1, *x.shape))[0],
    lambda x: np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(x.shape)])
def test_layout_does_not_matter(changed):
    x = numbers(5, 7)
    assert codes_of(changed(x)) == codes_of(x)


def test_what_is_in_order_is_not_copied():
    for dtype in DTYPES:
        x = np.zeros((3, 4), dtype)
        x.flags.writeable = False
        assert to_numpy(x, "").ctypes.data == x.ctypes.data


def test_a_number_keeps_its_shape():
    assert to_numpy(np.float32(1), "").shape == ()


def test_outputs_are_of_the_types_that_files_have():
    x = numbers(4, 256)
    assert dsv3.cast(x)["codes"].dtype == ml_dtypes.float8_e4m3fn
    assert dsv3.cast(x, format="e5m2")["codes"].dtype == ml_dtypes.float8_e5m2
    assert dsv3.cast(x, format="e2m1")["codes"].dtype == np.uint8


def test_narrow_inputs_are_read_as_their_values():
    for narrow in ml_dtypes.bfloat16, np.float16:
        x = numbers(5, 7).astype(narrow)
        assert codes_of(x) == codes_of(x.astype(np.float32))
    one = np.ones((1, 1), np.float32)
    assert np.array_equal(dsv3.cast(one)["codes"].astype(np.float32), one)


def test_outputs_live_as_long_as_they_are_used():
    x = numbers(64, 512)
    expected = dsv3.quantise(x)["s"].copy()
    scales = [dsv3.quantise(x)["s"] for _ in range(20)]  # nobody keeps the codes
    gc.collect()
    assert all(np.array_equal(s, expected) for s in scales)
    scales[0][0, 0] = 3  # they are the caller's to change
    assert np.array_equal(scales[1], expected)


def test_no_elements():
    q = dsv3.quantise(np.zeros((0, 256), np.float32))
    assert q["q"].shape == (0, 256) and q["s"].shape == (0, 2)


def test_many_threads_get_the_same_bits():
    case = dsv3.gen("fp8_fprop", seed=2)
    expected, found = dsv3.run("fp8_fprop", case)["y"], []
    workers = [threading.Thread(target=lambda: found.append(dsv3.run("fp8_fprop", case)["y"])) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 4 and all(np.array_equal(y, expected) for y in found)


@pytest.mark.parametrize("call, message", [
    (lambda: dsv3.cast(np.zeros((2, 2), complex)), "oracle cast: x: is complex128; it must be one of float64, float32"),
    (lambda: dsv3.run("cast", [1.0]), "oracle cast: the inputs are of type list; a dict of arrays is needed"),
    (lambda: dsv3.run("cast", {1: numbers(1, 1)}), "oracle cast: a tensor's name is 1; a text is needed"),
    (lambda: dsv3.run("cast", {"x": numbers(1, 1)}, format=b"e4m3"), "an attribute is of type bytes; a number, a text"),
    (lambda: dsv3.run(3, {}), "oracle: the op is 3; a text is needed"),
    (lambda: dsv3.gen("rms_norm", 3), "oracle rms_norm: the kind is 3; a text is needed"),
    (lambda: dsv3.check("quantise", dsv3.gen("quantise"), numbers(1, 1)), "theirs are of type ndarray; a dict of q, s is"),
])
def test_a_wrong_type_is_a_type_error(call, message):
    with pytest.raises(TypeError) as refusal:
        call()
    assert message in str(refusal.value)


@pytest.mark.parametrize("call, message", [
    (lambda: dsv3.cast(np.zeros((2, 2))), "oracle cast: x: is F64; it must be F32 or BF16 or F16"),
    (lambda: dsv3.cast(np.zeros((1,) * 9, np.float32)), 'oracle cast: "x": has the rank 9; it must be from 0 to 8'),
    (lambda: dsv3.run("cast", {"x": numbers(1, 1)}, format=None), '"format" is of type null; a number, a text, true or false'),
    (lambda: dsv3.quantise(numbers(1, 1), group_rows=float("nan")), 'group_rows is "nan"; a finite number is needed'),
    (lambda: dsv3.gen("cast", seed=-1), "oracle cast: seed is -1; it must be a whole number from 0 to 2^64 - 1"),
    (lambda: dsv3.gen("cast", seed=True), "oracle cast: seed is True; it must be a whole number"),
    (lambda: dsv3.gen("cast", seed=1.5), "oracle cast: seed is 1.5; it must be a whole number"),
    (lambda: dsv3.gen("cast", seed="1"), "oracle cast: seed is '1'; it must be a whole number"),
    (lambda: dsv3.describe("cast\0"), 'oracle: the op is "cast\\u0000"; it must be without NUL'),
    (lambda: dsv3.gen("cast", "ties\0"), 'oracle cast: the kind is "ties\\u0000"; it must be without NUL'),
    (lambda: dsv3.run("cast", {"x\0": numbers(1, 1)}), "a tensor's name is \"x\\u0000\"; it must be without NUL"),
])
def test_a_wrong_value_is_the_librarys_error(call, message):
    with pytest.raises(dsv3.Error) as refusal:
        call()
    assert message in str(refusal.value)


def test_numpy_numbers_are_seeds():
    assert dsv3.gen("cast", seed=np.int64(7))["x"].tobytes() == dsv3.gen("cast", seed=7)["x"].tobytes()


def test_without_elements_there_is_no_agreement_to_claim():
    case = dsv3.gen("quantise", M=0)
    verdict, search = (ask("quantise", case, dsv3.run("quantise", case)) for ask in (dsv3.check, dsv3.find))
    assert verdict.agreement == dsv3.Agreement.NOTHING and not verdict
    with pytest.raises(AssertionError) as failure:
        dsv3.testing.assert_matches("quantise", case, dsv3.run("quantise", case))
    assert str(failure.value) == f"quantise\n{verdict}".rstrip()
    assert verdict.json["agreement"] == "nothing to compare"
    assert "equal bit for bit" not in str(verdict) and "nothing was compared: no output has an element" in str(verdict)
    assert str(search) == "nothing was compared: no output has an element\n" and not search
    assert dsv3.check("quantise", case, {"q": np.zeros((0, 3), np.uint8)}).agreement == dsv3.Agreement.OUTSIDE


def test_experts_may_be_i32_and_the_message_says_so():
    case = dsv3.gen("gate")
    ours = dsv3.run("gate", case)
    assert dsv3.check("gate", case, {**ours, "experts": ours["experts"].astype(np.int32)})
    refused = dsv3.check("gate", case, {**ours, "experts": ours["experts"].astype(np.uint8)})
    assert "experts is U8; it must be I64 or I32" in str(refused)


def test_numpy_numbers_are_attributes():
    x = numbers(4, 256)
    assert dsv3.quantise(x, group_cols=np.int32(32))["s"].shape == (4, 8)
    assert codes_of(x, saturate=np.bool_(False)) == codes_of(x, saturate=False)


def test_torch_tensors_are_taken_as_they_are():
    torch = pytest.importorskip("torch")
    x = torch.tensor(numbers(5, 256), requires_grad=True)
    assert to_numpy(x, "").ctypes.data == x.data_ptr()
    for dtype in torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2:
        narrow = x.detach().to(dtype)
        shown = to_numpy(narrow, "")
        assert shown.ctypes.data == narrow.data_ptr()
        assert np.array_equal(shown.astype(np.float32), narrow.float().numpy())
    assert codes_of(x.to(torch.bfloat16).T) == codes_of(x.to(torch.bfloat16).float().T.contiguous())
    with pytest.raises(TypeError, match="cast: x: is on meta; a tensor in the CPU's memory is needed"):
        dsv3.cast(torch.zeros(2, 2, device="meta"))


def test_jax_arrays_are_taken_as_they_are():
    jnp = pytest.importorskip("jax.numpy")
    x = numbers(5, 256)
    assert codes_of(jnp.asarray(x)) == codes_of(x)
    assert codes_of(jnp.asarray(x, jnp.bfloat16)) == codes_of(x.astype(ml_dtypes.bfloat16))
