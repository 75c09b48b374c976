# SPDX-License-Identifier: MIT
"""libdsv3.so as dsv3.h declares it. Standard library only, so that a build can use it before NumPy is there."""
from __future__ import annotations

import ctypes
import json
import os
import pathlib
from typing import Any


class Tensor(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("dtype", ctypes.c_int32), ("rank", ctypes.c_int32),
                ("shape", ctypes.POINTER(ctypes.c_int64)), ("data", ctypes.c_void_p), ("bytes", ctypes.c_int64)]


class Tensors(ctypes.Structure):
    _fields_ = [("count", ctypes.c_int64), ("items", ctypes.POINTER(Tensor)), ("attributes", ctypes.c_char_p)]


class Report(ctypes.Structure):
    _fields_ = [("outcome", ctypes.c_int32), ("text", ctypes.c_char_p), ("json", ctypes.c_char_p)]


class ErrorText(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char * 2048)]


class Error(ValueError):
    """What a call refuses: where, what is, and what is needed."""


def text(value: Any, where: str, what: str) -> bytes:
    """A name for the library, where a text ends with its first NUL."""
    if not isinstance(value, str):
        raise TypeError(f"{where}: {what} is {value!r}; a text is needed")
    if "\0" in value:
        raise Error(f"{where}: {what} is {json.dumps(value)}; it must be without NUL")
    return value.encode()


BAD_ARGUMENT = 2
_GIVEN: list[Any] = [ctypes.POINTER(Tensor), ctypes.c_int64]  # tensors and their number
_MAKE: dict[str, tuple[list[Any], Any]] = {  # what stands before the result and the error; the result
    "dsv3_describe": ([ctypes.c_char_p], Report),
    "dsv3_run": ([ctypes.c_char_p, *_GIVEN, ctypes.c_char_p], Tensors),
    "dsv3_gen": ([ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint64, ctypes.c_char_p], Tensors),
    "dsv3_check": ([ctypes.c_char_p, *_GIVEN, ctypes.c_char_p, *_GIVEN], Report),
    "dsv3_find": ([ctypes.c_char_p, *_GIVEN, ctypes.c_char_p, *_GIVEN], Report),
}
_OTHERS: dict[str, tuple[list[Any], Any]] = {
    "dsv3_version": ([], ctypes.c_char_p),
    "dsv3_op_count": ([], ctypes.c_int64),
    "dsv3_op_name": ([ctypes.c_int64], ctypes.c_char_p),
    "dsv3_free_tensors": ([ctypes.POINTER(Tensors)], None),
    "dsv3_free_report": ([ctypes.POINTER(Report)], None),
}


class Library:
    """The functions of one libdsv3.so."""

    def __init__(self, path: str | os.PathLike[str]):
        self._c = ctypes.CDLL(os.fspath(path))
        for name, (before, result) in _MAKE.items():
            function = getattr(self._c, name)
            function.argtypes = [*before, ctypes.POINTER(ctypes.POINTER(result)), ctypes.POINTER(ErrorText)]
            function.restype = ctypes.c_int
        for name, (before, result) in _OTHERS.items():
            function = getattr(self._c, name)
            function.argtypes, function.restype = before, result
        self.version: str = self._c.dsv3_version().decode()
        self.free_tensors = self._c.dsv3_free_tensors
        self.ops = tuple(self._c.dsv3_op_name(i).decode() for i in range(self._c.dsv3_op_count()))

    def call(self, name: str, *arguments: Any) -> Any:
        """A pointer to what the function makes. Raises Error for what it refuses, RuntimeError where it fails."""
        result, error = ctypes.POINTER(_MAKE[name][1])(), ErrorText()
        status = getattr(self._c, name)(*arguments, ctypes.byref(result), ctypes.byref(error))
        if status == 0:
            return result
        raise (Error if status == BAD_ARGUMENT else RuntimeError)(error.text.decode(errors="replace"))

    def report(self, name: str, *arguments: Any) -> tuple[int, str, str]:
        """The outcome, the text and the JSON of a report."""
        result = self.call(name, *arguments)
        try:
            said = result.contents
            return said.outcome, said.text.decode(), said.json.decode()
        finally:
            self._c.dsv3_free_report(result)


def load() -> Library:
    """The library beside this file, or the one that DSV3_LIBRARY names."""
    path = os.environ.get("DSV3_LIBRARY") or pathlib.Path(__file__).with_name("libdsv3.so")
    try:
        return Library(path)
    except OSError as error:
        raise ImportError(f"dsv3: {error}; `pip install .` in the checkout builds it") from error
