# SPDX-License-Identifier: MIT
"""What the function of an op takes, from the op's description: at run time and in the type stubs. Standard library only."""
from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Mapping
from typing import Any

RETURNS = "dict[str, NDArray[Any]]"


def annotation(attribute: Mapping[str, Any]) -> str:
    if attribute["choices"]:
        return f"Literal[{', '.join(map(repr, attribute['choices']))}]"
    return type(attribute["default"]).__name__


def python_name(name: str) -> str:
    """The parameter for a tensor of that name: mtp.h_norm is mtp_h_norm."""
    word = re.sub(r"\W", "_", name)
    return f"{word}_" if keyword.iskeyword(word) else word


def signature(description: Mapping[str, Any]) -> inspect.Signature:
    """Inputs by place or name, attributes by name with their defaults."""
    inputs = [inspect.Parameter(python_name(t["name"]), inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation="ArrayLike")
              for t in description["inputs"]]
    attributes = [inspect.Parameter(python_name(a["name"]), inspect.Parameter.KEYWORD_ONLY, default=a["default"],
                                    annotation=annotation(a)) for a in description["attributes"]]
    return inspect.Signature([*inputs, *attributes], return_annotation=RETURNS)


def in_source(of: inspect.Signature) -> str:
    """As it stands in a stub. (A signature prints annotations that are texts in quotes.)"""
    words: list[str] = []
    for p in of.parameters.values():
        if p.kind == p.KEYWORD_ONLY and "*" not in words:
            words.append("*")
        words.append(f"{p.name}: {p.annotation}" + ("" if p.default is p.empty else f" = {p.default!r}"))
    return f"({', '.join(words)}) -> {of.return_annotation}"
