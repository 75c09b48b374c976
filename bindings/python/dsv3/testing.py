# SPDX-License-Identifier: MIT
"""For tests of other implementations, with pytest or without."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dsv3._api import Agreement, Verdict, check, find


def assert_matches(op: str, inputs: Mapping[str, Any], theirs: Any, /, **attributes: Any) -> Verdict:
    """Fails unless `theirs` are there, and equal bit for bit to the reference's outputs or within their bounds.

    The message is the verdict, and which convention gives these outputs or comes nearest.
    """
    __tracebackhide__ = True  # pytest then shows the caller's line
    verdict = check(op, inputs, theirs, **attributes)
    if verdict.agreement == Agreement.NOTHING:
        raise AssertionError(f"{op}\n{verdict}".rstrip())
    if not verdict:
        raise AssertionError(f"{op}\n{verdict}{find(op, inputs, theirs, **attributes)}".rstrip())
    return verdict
