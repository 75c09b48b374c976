#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the tests beside this file with a Python that has what they need: that of build/python, else this one.

Ends with 77, and says why, where none has it; ctest then reports the test as skipped. Standard library only.
"""
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
NEEDED = "import numpy, ml_dtypes, pytest, safetensors"


def main():
    missing = []
    for python in (HERE.parents[2] / "build/python/bin/python", pathlib.Path(sys.executable)):
        if not python.exists():
            missing.append(f"{python} is not there")
            continue
        tried = subprocess.run([python, "-c", NEEDED], capture_output=True, text=True)
        if tried.returncode == 0:
            os.execv(python, [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE), *sys.argv[1:]])
        missing.append(f"{python}: {tried.stderr.strip().splitlines()[-1]}")
    print("skipped; ./dsv3 python makes what these tests need:", *missing, sep="\n  ")
    return 77


if __name__ == "__main__":
    sys.exit(main())
