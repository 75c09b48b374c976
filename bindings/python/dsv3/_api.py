# SPDX-License-Identifier: MIT
"""The calls of the library with Python's values."""
from __future__ import annotations

import enum
import json
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsv3 import _arrays, _files, _library, _signatures

LIBRARY = _library.load()
_OP, _ATTRIBUTES = "dsv3_op", "dsv3_attributes"  # of a file's metadata


class Agreement(enum.IntEnum):
    """How another implementation's outputs agree with the reference's."""

    NOTHING = -1
    """there is no element to compare"""
    BITS = 0
    """every bit is ours"""
    WITHIN = 1
    """every element is within its derived bound"""
    OUTSIDE = 2
    """at least one is not, or a tensor is missing or of another shape or type"""


@dataclass(frozen=True)
class Verdict:
    """What check says; true where all is as it may be, so neither outside nor where there was nothing to compare."""

    agreement: Agreement
    text: str
    json: dict[str, Any]

    def __bool__(self) -> bool:
        return self.agreement in (Agreement.BITS, Agreement.WITHIN)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Search:
    """What find says; true if some convention gives the other side's bits."""

    found: bool
    text: str
    json: dict[str, Any]

    def __bool__(self) -> bool:
        return self.found

    def __str__(self) -> str:
        return self.text


class Case(dict[str, NDArray[Any]]):
    """The inputs of a case by name, and the attributes that belong to them. run, check and find take both from it.

    `metadata` are the texts beside the tensors in a file: "dsv3_op", of which op it is.
    """

    def __init__(self, inputs: Mapping[str, NDArray[Any]], attributes: Mapping[str, Any],
                 metadata: Mapping[str, str] | None = None):
        super().__init__(inputs)
        self.attributes = dict(attributes)
        self.metadata = dict(metadata or {})


def _plain(value: Any) -> Any:
    """For what JSON does not know: NumPy's numbers."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"an attribute is of type {type(value).__name__}; a number, a text, True or False is needed")


def _settings(op: str, given: Mapping[str, Any]) -> bytes:
    for name, value in given.items():
        if isinstance(value, (float, np.floating)) and not math.isfinite(value):
            raise _library.Error(f'oracle {op}: {name} is "{value}"; a finite number is needed')
    return json.dumps(dict(given), default=_plain).encode()


def _op(op: str) -> bytes:
    return _library.text(op, "oracle", "the op")


def _seed(op: str, seed: Any) -> int:
    """Whole numbers of NumPy are some too; True is none."""
    whole = None if isinstance(seed, (bool, np.bool_)) or not hasattr(seed, "__index__") else operator.index(seed)
    if whole is None or not 0 <= whole < 2**64:
        raise _library.Error(f"oracle {op}: seed is {seed!r}; it must be a whole number from 0 to 2^64 - 1")
    return whole


def _call_of(op: str, inputs: Mapping[str, Any], attributes: Mapping[str, Any]) -> tuple[Any, ...]:
    if not isinstance(inputs, Mapping):
        raise TypeError(f"oracle {op}: the inputs are of type {type(inputs).__name__}; a dict of arrays is needed")
    given = _arrays.Given(inputs, f"oracle {op}")
    settings = {**(inputs.attributes if isinstance(inputs, Case) else {}), **attributes}
    return given, (_op(op), given.tensors, given.count, _settings(op, settings))


def ops() -> tuple[str, ...]:
    """The names of all ops, in the order of the report."""
    return LIBRARY.ops


def describe(op: str, /) -> dict[str, Any]:
    """Equation, numerics contract, inputs, outputs, attributes and kinds of cases of an op."""
    description: dict[str, Any] = json.loads(LIBRARY.report("dsv3_describe", _op(op))[2])
    return description


def run(op: str, inputs: Mapping[str, Any], /, **attributes: Any) -> dict[str, NDArray[Any]]:
    """The outputs of the reference. Attributes not named have the case's values, or the op's defaults."""
    given, call = _call_of(op, inputs, attributes)
    return _arrays.from_library(LIBRARY, LIBRARY.call("dsv3_run", *call))


def gen(op: str, /, kind: str | None = None, seed: int = 1, **settings: Any) -> Case:
    """A case drawn from `seed`, the same on every machine. Settings are attributes, and sizes by their letters."""
    name, of_kind = _op(op), None if kind is None else _library.text(kind, f"oracle {op}", "the kind")
    drawn = LIBRARY.call("dsv3_gen", name, of_kind, _seed(op, seed), _settings(op, settings))
    attributes = json.loads(drawn.contents.attributes)
    return Case(_arrays.from_library(LIBRARY, drawn), attributes, {_OP: op})


def load(path: _files.Path, /) -> Case:
    """The arrays of a safetensors file, of `dsv3 oracle gen` or of anybody, with BF16 and FP8 as ml_dtypes has them."""
    arrays, metadata = _files.read(path)
    try:
        attributes = dict(json.loads(metadata.pop(_ATTRIBUTES, "{}")))
    except (TypeError, ValueError) as error:
        raise _library.Error(f"{path}: {_ATTRIBUTES} is no JSON object ({error})") from error
    return Case(arrays, attributes, metadata)


def save(path: _files.Path, arrays: Mapping[str, Any], /, attributes: Mapping[str, Any] | None = None) -> None:
    """Writes a safetensors file as `dsv3 oracle` does. A case keeps its attributes; those named here replace them."""
    if not isinstance(arrays, Mapping):
        raise TypeError(f"{path}: the arrays are of type {type(arrays).__name__}; a dict is needed")
    metadata, kept = (arrays.metadata, arrays.attributes) if isinstance(arrays, Case) else ({}, {})
    if all_of_them := {**kept, **(attributes or {})}:
        metadata = {**metadata, _ATTRIBUTES: _settings("save", all_of_them).decode()}
    _files.write(path, arrays, metadata)


def _judged(function: str, op: str, inputs: Mapping[str, Any], theirs: Any,
            attributes: Mapping[str, Any]) -> tuple[int, str, str]:
    given, call = _call_of(op, inputs, attributes)
    if not isinstance(theirs, Mapping):
        names = [output["name"] for output in describe(op)["outputs"]]
        if len(names) != 1:
            raise TypeError(f"oracle {op}: theirs are of type {type(theirs).__name__}; a dict of {', '.join(names)} is needed")
        theirs = {names[0]: theirs}
    outputs = _arrays.Given(theirs, f"oracle {op}")
    return LIBRARY.report(function, *call, outputs.tensors, outputs.count)


def check(op: str, inputs: Mapping[str, Any], theirs: Any, /, **attributes: Any) -> Verdict:
    """Judges another implementation's outputs: a dict of arrays, or the array where the op has one output."""
    outcome, text, as_json = _judged("dsv3_check", op, inputs, theirs, attributes)
    return Verdict(Agreement(outcome), text, json.loads(as_json))


def find(op: str, inputs: Mapping[str, Any], theirs: Any, /, **attributes: Any) -> Search:
    """Which of the conventions in use, alone or two together, give these outputs."""
    outcome, text, as_json = _judged("dsv3_find", op, inputs, theirs, attributes)
    return Search(outcome == 1, text, json.loads(as_json))


def function_of(op: str) -> Callable[..., dict[str, NDArray[Any]]]:
    """run of one op as a function with its own signature; the description is its docstring."""
    _, text, as_json = LIBRARY.report("dsv3_describe", _op(op))
    description = json.loads(as_json)
    signature, python_name = _signatures.signature(description), _signatures.python_name
    names = {kind: {python_name(one["name"]): one["name"] for one in description[kind]}
             for kind in ("inputs", "attributes")}

    def function(*by_place: Any, **by_name: Any) -> dict[str, NDArray[Any]]:
        given = signature.bind(*by_place, **by_name).arguments
        inputs, attributes = ({name: given[python] for python, name in of_kind.items() if python in given}
                              for of_kind in names.values())
        return run(op, inputs, **attributes)

    function.__name__ = function.__qualname__ = op
    function.__module__ = "dsv3"
    function.__doc__ = text
    function.__signature__ = signature  # type: ignore[attr-defined]
    return function
