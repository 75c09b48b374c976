#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The peers of `dsv3 bench` that live in Python: NumPy, ml_dtypes and the OpenBLAS that NumPy brings.

    python3 -m venv build/peers && build/peers/bin/pip install numpy ml_dtypes
    ./dsv3 bench encode                        the launcher finds build/peers
    build/release/dsv3 bench encode --peers build/peers/bin/python

`dsv3 bench` starts it and takes turns with it. It says "ready WHAT", then answers every line it reads with one line: the
mean seconds of a call, over as many calls as take a fiftieth of a second, or "error: MESSAGE". The requests:

    encode_FORMAT N, decode_FORMAT N           FP32 <-> e4m3 or e5m2, N values, into memory that is there
    quantise_1x128 ROWS COLS                   amax / 448 of each 128 neighbours, x / scale to E4M3, in NumPy
    sgemm_fprop|dgrad|wgrad TOKENS OUT IN      the product of a Linear [OUT, IN] in FP32: y = x W^T, dy W, dy^T x

With one thread seconds are those the thread itself spends, else those of the wall clock. Only OpenBLAS has threads.
"""
import argparse
import ctypes
import re
import sys
import time

AT_LEAST = 0.02  # seconds of a measurement
REST = 0.05  # seconds after which OpenBLAS's threads, which spin when their work is done, have gone to sleep

try:
    import ml_dtypes
    import numpy as np
except ImportError as missing:
    print(f"error: needs NumPy and ml_dtypes: {missing}", flush=True)
    sys.exit(1)


class OpenBlas:
    """The OpenBLAS in this process, by the names of what it is loaded from; none where NumPy has another BLAS."""

    def __init__(self):
        with open("/proc/self/maps", encoding="utf-8") as maps:
            paths = re.findall(r"/\S*openblas\S*\.so\S*", maps.read())
        self.library = ctypes.CDLL(paths[0]) if paths else None

    def call(self, name, result):
        for full_name in (f"scipy_openblas_{name}64_", f"openblas_{name}64_", f"openblas_{name}"):
            function = getattr(self.library, full_name, None)
            if function:
                function.restype = result
                return function()
        return None

    def describe(self):
        if not self.library:
            return "no OpenBLAS"
        version = re.search(r"OpenBLAS [\d.]+\d", self.call("get_config", ctypes.c_char_p).decode())[0]
        core, threads = self.call("get_corename", ctypes.c_char_p).decode(), self.call("get_num_threads", ctypes.c_int)
        return f"{version} {core} with {threads} thread{'s' * (threads != 1)}"


def normal(*shape):
    return np.random.default_rng(1).standard_normal(shape, dtype=np.float32)


def dtype_of(name):
    return {"e4m3": ml_dtypes.float8_e4m3fn, "e5m2": ml_dtypes.float8_e5m2}[name]


def cast(direction, name, size):
    """As many values as ours, from one array into another."""
    x = normal(size)
    codes = x.astype(dtype_of(name))
    return (lambda: np.copyto(codes, x, casting="unsafe")) if direction == "encode" else (lambda: np.copyto(x, codes))


def quantise_1x128(rows, cols):
    x = normal(rows, cols // 128, 128)

    def call():
        scale = np.abs(x).max(axis=-1, keepdims=True) / np.float32(448)
        return (x / scale).astype(ml_dtypes.float8_e4m3fn), scale

    return call


def sgemm(blas, product, tokens, out, into):
    if not blas.library:
        raise ValueError("NumPy's BLAS is not OpenBLAS; the pip package's is")
    x, dy, weight = normal(tokens, into), normal(tokens, out), normal(out, into)
    a, b = {"fprop": (x, weight.T), "dgrad": (dy, weight), "wgrad": (dy.T, x)}[product]
    result = np.matmul(a, b)
    return lambda: np.matmul(a, b, out=result)


def call_of(request, blas):
    """The call that a request means, with its data."""
    name, *sizes = request.split()
    numbers = [int(size) for size in sizes]
    try:
        if found := re.fullmatch("(encode|decode)_(e4m3|e5m2)", name):
            return cast(*found.groups(), *numbers)
        if name == "quantise_1x128":
            return quantise_1x128(*numbers)
        if found := re.fullmatch("sgemm_(fprop|dgrad|wgrad)", name):
            return sgemm(blas, *found.groups(), *numbers)
    except TypeError as wrong_count:
        raise ValueError(f"'{request}' has not the numbers it needs") from wrong_count
    raise ValueError(f"'{request}' is no request")


def seconds_of(call, now):
    start, calls, spent = now(), 0, 0.0
    while spent < AT_LEAST or calls == 0:
        call()
        calls += 1
        spent = now() - start
    return spent / calls


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    one_thread = parser.parse_args().threads == 1
    now = time.thread_time if one_thread else time.perf_counter
    blas = OpenBlas()
    print(f"ready NumPy {np.__version__}, ml_dtypes {ml_dtypes.__version__}, {blas.describe()}", flush=True)
    last, call = None, None
    for line in sys.stdin:
        request = line.strip()
        try:
            if request != last:
                call = call_of(request, blas)
                call()  # first touch
                last = request
            seconds = seconds_of(call, now)
            if not one_thread:
                time.sleep(REST)  # the other's turn follows
            print(repr(seconds), flush=True)
        except (ValueError, MemoryError) as error:
            print(f"error: {error}", flush=True)


if __name__ == "__main__":
    main()
