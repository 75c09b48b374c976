# SPDX-License-Identifier: MIT
"""The DeepSeek-V3 Technical Report as an oracle: ops to run, and to check another implementation against.

    case = dsv3.gen("quantise", kind="groups")
    theirs = my_kernel(case["x"])                       # {"q": ..., "s": ...}
    print(dsv3.check("quantise", case, theirs))         # equal bit for bit, within the bound, or where not
    print(dsv3.find("quantise", case, theirs))          # whose convention it is
    ours = dsv3.quantise(case["x"], dialect="deepep_kernel")

Arrays are NumPy's, with ml_dtypes for BF16 and FP8; CPU tensors of torch and arrays of JAX are taken as they are.
"""
from dsv3._api import (
    LIBRARY, Agreement, Case, Search, Verdict, check, describe, find, function_of, gen, load, ops, run, save)
from dsv3._library import Error

__version__ = LIBRARY.version
__all__ = ["Agreement", "Case", "Error", "Search", "Verdict", "check", "describe", "find", "gen", "load", "ops", "run",
           "save", *ops()]

for _name in ops():
    if _name in globals():
        raise ImportError(f"dsv3: the op {_name} has the name of something else in this module")
    globals()[_name] = function_of(_name)
del LIBRARY, function_of, _name
