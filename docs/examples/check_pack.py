#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Judges outputs against a golden pack, with NumPy alone. usage: check_pack.py PACK THEIRS, two files or two folders

outputs.NAME: what theirs, NAME, must be, but for bound.NAME: |theirs - outputs| <= 2^(code - 127), 0: equal; and
spread.NAME: the root mean square of |theirs - outputs| / 2^(code - 127) is at most 1. 255: not judged. BF16 and FP16 will do.
"""
import json, pathlib, sys
import numpy as np
TYPES = dict(F64="f8", F32="f4", F16="f2", BF16="u2", F8_E4M3="u1", F8_E5M2="u1", I64="i8", I32="i4", U8="u1", BOOL="?")
NAN = dict(F8_E4M3=lambda code: code & 0x7F == 0x7F, F8_E5M2=lambda code: code & 0x7F > 0x7C)
DIGITS = dict(F16=(10, -14), BF16=(7, -126))  # of the fraction; and the least exponent

def read(path):
    data, tensors = path.read_bytes(), {}
    start = 8 + int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8:start])
        meta = header.pop("__metadata__", {})
        for name, t in header.items():
            first, last = (start + offset for offset in t["data_offsets"])
            x = np.frombuffer(data[first:last], TYPES[t["dtype"]]).reshape(t["shape"])
            tensors[name] = t["dtype"], (x.astype("u4") << 16).view("f4") if t["dtype"] == "BF16" else x
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: is no whole safetensors file of types in use ({error})") from error
    return tensors, meta

def judge(dtype, ours, bound, spread, their_dtype, theirs):
    fits = ours.dtype.kind == theirs.dtype.kind and (dtype == their_dtype or bound is not None or dtype == "I64")
    if ours.shape != theirs.shape or not fits:
        return f"OUTSIDE: is {their_dtype} {list(theirs.shape)}; it must be {dtype} {list(ours.shape)}"
    nan, off, step = NAN.get(dtype, np.isnan), np.abs(np.subtract(theirs, ours, dtype=float)), 0.0
    equal = inside = (ours == theirs) & (np.signbit(ours) == np.signbit(theirs)) | nan(ours) & nan(theirs)
    if bound is not None:
        most = np.where(bound == 0, 0, np.ldexp(1.0, bound.astype(int) - 127))
        if their_dtype != dtype and their_dtype in DIGITS:
            digits, least = DIGITS[their_dtype]
            step = np.ldexp(1.0, np.maximum(np.frexp(np.abs(ours) + most)[1] - 1, least) - digits)
        inside = equal | (off <= most + step / 2) | (bound == 255)
    if not inside.all():
        at = tuple(map(int, np.argwhere(~inside)[0]))
        return f"OUTSIDE: {(~inside).sum()} of {ours.size}, the first at {at}: {theirs[at]} in place of {ours[at]}"
    if spread is not None:
        sound = np.hypot(np.ldexp(1.0, spread.astype(int) - 127), 1.5 * step / 12**0.5)
        shares = np.where((off > 0) & np.isfinite(off) & (spread != 255), off / sound, 0)
        if np.sqrt(np.mean(shares**2)) > 1 + ours.size**-0.5:
            return "OUTSIDE: each is within its bound, but together they are farther off than what is sound"
    return "equal bit for bit" if equal.all() else "within the bound" if (bound < 255).any() else "not judged"

def is_choice(experts, biases):  # of each token different ones, of those that there are
    return ((experts >= 0) & (experts < biases.size)).all() and (np.diff(np.sort(experts)) > 0).all()

def accepts(pack_file, their_file):
    (pack, meta), theirs, ok = read(pack_file), read(their_file)[0] if their_file.exists() else {}, True
    if not any(key.startswith("outputs.") for key in pack):
        raise ValueError(f"nothing was compared: {pack_file} has no outputs; files of `gen --all` have")
    for name in (key[8:] for key in pack if key.startswith("outputs.")):
        if (found := theirs.get(name)) or name not in meta["dsv3_optional"].split(","):
            limits = (pack.get(limit + name, (None, None))[1] for limit in ("bound.", "spread."))
            verdict = judge(*pack["outputs." + name], *limits, *found) if found else "OUTSIDE: is missing"
            if name.endswith("experts") and not verdict.startswith("OUTSIDE"):  # also where rounding decides which
                _, biases = pack.get("inputs.b") or pack[f"inputs.{name[:-7]}gate_bias"]
                if not is_choice(found[1], biases):
                    verdict = "OUTSIDE: a token repeats an expert or names one that there is not"
            print(f"{meta['dsv3_op']} {meta['dsv3_kind']} {name}: {verdict}")
            ok &= not verdict.startswith("OUTSIDE")
    return ok

def main():
    if len(sys.argv) != 3:  # also --help
        print(__doc__.strip())
        return 0 if sys.argv[1:] == ["--help"] else 2
    pack, theirs = map(pathlib.Path, sys.argv[1:])
    files = [""] if pack.is_file() else [p.relative_to(pack) for p in sorted(pack.glob("*/*.safetensors"))]
    there = [f for f in files if (theirs / f).is_file()]
    if not there:
        looked_for = theirs / files[0] if files else pack / "OP/KIND.safetensors"
        raise ValueError(f"nothing was compared: {looked_for} is not there")
    np.seterr(all="ignore")
    ok = [accepts(pack / f, theirs / f) for f in files]
    print(f"{len(there)} of {len(files)} files compared, {ok.count(False)} not accepted")
    return 0 if all(ok) else 1

if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError) as error:
        sys.exit(f"check_pack.py: {error}")
