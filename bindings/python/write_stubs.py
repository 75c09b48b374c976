#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the type stubs of the module from the registry of a built library. Standard library only.

usage: write_stubs.py LIBDSV3.SO [OUT]
"""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "dsv3"))
import _library  # noqa: E402
import _signatures  # noqa: E402

HEAD = """\
# Written by write_stubs.py from the registry of libdsv3 {version}.
from typing import Any, Literal

from numpy.typing import ArrayLike, NDArray

from dsv3._api import (
    Agreement as Agreement,
    Case as Case,
    Search as Search,
    Verdict as Verdict,
    check as check,
    describe as describe,
    find as find,
    gen as gen,
    load as load,
    ops as ops,
    run as run,
    save as save,
)
from dsv3._library import Error as Error

__version__: str
"""
CALLS = ["Agreement", "Case", "Error", "Search", "Verdict", "check", "describe", "find", "gen", "load", "ops", "run",
         "save"]


def stubs(library):
    out = HEAD.format(version=library.version) + f"__all__ = {json.dumps([*CALLS, *library.ops])}\n"
    for op in library.ops:
        _, text, description = library.report("dsv3_describe", op.encode())
        signature = _signatures.in_source(_signatures.signature(json.loads(description)))
        out += f"\ndef {op}{signature}:\n    {json.dumps(text, ensure_ascii=False)}\n"
    return out


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    text = stubs(_library.Library(sys.argv[1]))
    if len(sys.argv) == 3:
        pathlib.Path(sys.argv[2]).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
