# SPDX-License-Identifier: MIT
"""safetensors files, FP8 and BF16 too, which safetensors.numpy does not read."""
from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from dsv3 import _arrays, _library

NAMES = dict(zip(("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "I64", "I32", "U8", "BOOL"), _arrays.DTYPES))
METADATA = "__metadata__"
Path = Union[str, "os.PathLike[str]"]


def _array(data: bytearray, where: str, dtype: Any, shape: Any, data_offsets: Any) -> NDArray[Any]:
    if dtype not in NAMES:
        raise _library.Error(f"{where}: is {dtype}; it must be one of {', '.join(NAMES)}")
    if not all(isinstance(n, int) and n >= 0 for n in [*shape, *data_offsets]):
        raise ValueError(f"{where} has no shape and place in whole numbers")
    first, last = data_offsets
    count, bytes_of_one = math.prod(shape), NAMES[dtype].itemsize
    if last - first != count * bytes_of_one or last > len(data):
        raise ValueError(f"{where} has not the {count * bytes_of_one} bytes that {shape} of {dtype} needs")
    return np.frombuffer(memoryview(data)[first:last], NAMES[dtype]).reshape(shape)


def read(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The arrays of a file, which may be changed, and its metadata."""
    with open(path, "rb") as file:
        size, rest = int.from_bytes(file.read(8), "little"), os.fstat(file.fileno()).st_size - 8
        header_bytes = file.read(size) if size <= rest else b""
        data = bytearray(max(rest - size, 0))
        file.readinto(data)
    try:
        header: dict[str, Any] = dict(json.loads(header_bytes))
        metadata = dict(header.pop(METADATA, {}))
        return {name: _array(data, f"{path}: {name}", **t) for name, t in header.items()}, metadata
    except _library.Error:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        raise _library.Error(f"{path}: is no whole safetensors file ({error})") from error


def write(path: Path, arrays: Mapping[str, Any], metadata: Mapping[str, str]) -> None:
    """Widest elements first, so that every array begins at a multiple of its elements' size."""
    header: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    all_of_them: list[NDArray[Any]] = []
    taken = 0
    given = {name: _arrays.to_numpy(x, f"{path}: {name}") for name, x in arrays.items()}
    for name, array in sorted(given.items(), key=lambda one: -one[1].itemsize):
        if _library.text(name, str(path), "a tensor's name") == METADATA.encode():
            raise _library.Error(f'{path}: a tensor\'s name is "{METADATA}"; that one has another use in the format')
        dtype = next(of_file for of_file, t in NAMES.items() if t == array.dtype)
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [taken, taken + array.nbytes]}
        all_of_them.append(array)
        taken += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in all_of_them:
            file.write(array.tobytes())
