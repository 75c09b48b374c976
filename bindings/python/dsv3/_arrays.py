# SPDX-License-Identifier: MIT
"""Arrays of anybody as C tensors, and tensors of the library as NumPy arrays, without a copy where the layout allows."""
from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from dsv3 import _library

# In the order of dsv3.h.
DTYPES = tuple(np.dtype(t) for t in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn,
                                     ml_dtypes.float8_e5m2, np.int64, np.int32, np.uint8, np.bool_))


def _from_torch(x: Any, where: str) -> NDArray[Any]:
    """NumPy has no BF16 and FP8 of its own, so torch shows these as whole numbers of their size."""
    torch = sys.modules["torch"]
    if x.device.type != "cpu":
        raise TypeError(f"{where}: is on {x.device}; a tensor in the CPU's memory is needed")
    x = x.detach()
    for of_torch, as_whole, of_numpy in ((torch.bfloat16, torch.int16, ml_dtypes.bfloat16),
                                         (torch.float8_e4m3fn, torch.uint8, ml_dtypes.float8_e4m3fn),
                                         (torch.float8_e5m2, torch.uint8, ml_dtypes.float8_e5m2)):
        if x.dtype == of_torch:
            return np.asarray(x.view(as_whole)).view(of_numpy)
    return np.asarray(x)


def to_numpy(x: Any, where: str) -> NDArray[Any]:
    """In row-major order without gaps, of a type the library has. Copies only what is not so."""
    if type(x).__module__.split(".")[0] == "torch" and hasattr(x, "device"):
        array = _from_torch(x, where)
    elif hasattr(x, "__dlpack__") and not hasattr(x, "__array__"):
        array = np.from_dlpack(x)
    else:
        array = np.asarray(x)
    native = array.dtype.newbyteorder("=")
    if native not in DTYPES:
        raise TypeError(f"{where}: is {array.dtype}; it must be one of {', '.join(t.name for t in DTYPES)}")
    return np.require(array, dtype=native, requirements="C")


class Given:
    """Named arrays as the library reads them; they stay alive with this."""

    def __init__(self, arrays: Mapping[str, Any], where: str):
        self._kept = []
        self.count = len(arrays)
        self.tensors = (_library.Tensor * self.count)()
        for tensor, (name, x) in zip(self.tensors, arrays.items()):
            encoded = _library.text(name, where, "a tensor's name")
            array = to_numpy(x, f"{where}: {name}")
            shape = (ctypes.c_int64 * array.ndim)(*array.shape)
            self._kept.append((array, shape))
            tensor.name, tensor.dtype, tensor.rank = encoded, DTYPES.index(array.dtype), array.ndim
            tensor.shape, tensor.data, tensor.bytes = shape, array.ctypes.data, array.nbytes


class _Owner:
    """Frees the library's tensors when the last array that shows one is gone."""

    def __init__(self, library: _library.Library, tensors: Any):
        self._free, self._tensors = library.free_tensors, tensors

    def __del__(self) -> None:
        self._free(self._tensors)


class _Memory:
    """Bytes of an owner, for NumPy's array interface."""

    def __init__(self, owner: _Owner, address: int, size: int):
        self._owner = owner
        self.__array_interface__ = {"shape": (size,), "typestr": "|u1", "data": (address, False), "version": 3}


def from_library(library: _library.Library, tensors: Any) -> dict[str, NDArray[Any]]:
    """Arrays that show the library's memory and free it."""
    owner = _Owner(library, tensors)
    all_of_them: dict[str, NDArray[Any]] = {}
    for t in tensors.contents.items[:tensors.contents.count]:
        shape, dtype = t.shape[:t.rank], DTYPES[t.dtype]
        flat = np.asarray(_Memory(owner, t.data, t.bytes)).view(dtype) if t.bytes > 0 else np.empty(0, dtype)
        all_of_them[t.name.decode()] = flat.reshape(shape)
    return all_of_them
