#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Digests of what ml_dtypes (FP16: numpy) makes of all 2^32 FP32 values, written to cast_digests.json.

Values are taken in the order of their bits, 2^24 with the same upper byte at a time: 256 digests per format. The codes
of such a chunk, one byte or two little-endian ones each, are 64-bit words w_0, w_1, ...; the digest is
sum_k w_k (2 k + 1) 0x9E3779B97F4A7C15 modulo 2^64, which changes with any single code because the factors are odd.
Every NaN of FP16, whose payload numpy keeps, is first made the quiet one of its sign, as ml_dtypes makes it.

usage: make_cast_digests.py        (needs numpy and ml_dtypes; about ten minutes)
"""
import json
import pathlib
import sys

import ml_dtypes
import numpy as np

DTYPES = {"e4m3": ml_dtypes.float8_e4m3fn, "e5m2": ml_dtypes.float8_e5m2, "ue8m0": ml_dtypes.float8_e8m0fnu,
          "bf16": ml_dtypes.bfloat16, "fp16": np.float16, "e3m2": ml_dtypes.float6_e3m2fn,
          "e2m3": ml_dtypes.float6_e2m3fn, "e2m1": ml_dtypes.float4_e2m1fn}
CHUNK = 1 << 24


def codes_of(x, dtype):
    codes = x.astype(dtype)
    codes = codes.view(np.uint8 if codes.itemsize == 1 else np.uint16)
    if dtype is np.float16:
        codes = np.where(np.isnan(x), (codes & 0x8000) | 0x7E00, codes)
    return codes.astype("<u1" if codes.itemsize == 1 else "<u2")


def digest(codes):
    words = codes.view("<u8")
    factors = (2 * np.arange(words.size, dtype=np.uint64) + 1) * np.uint64(0x9E3779B97F4A7C15)
    return int((words * factors).sum(dtype=np.uint64))


def main():
    low = np.arange(CHUNK, dtype=np.uint32)
    digests = {}
    with np.errstate(all="ignore"):
        for name, dtype in DTYPES.items():
            chunks = [digest(codes_of((low | np.uint32(top << 24)).view(np.float32), dtype)) for top in range(256)]
            digests[name] = [f"{d:016x}" for d in chunks]
            print(name, file=sys.stderr, flush=True)
    out = {"made with": f"numpy {np.__version__}, ml_dtypes {ml_dtypes.__version__}", "digests": digests}
    path = pathlib.Path(__file__).parent / "cast_digests.json"
    path.write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
