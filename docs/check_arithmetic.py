#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Computes what the pages compute. Standard library only.

  <!-- arithmetic -->   before a ```text block: each of its lines "name = expression = number unit" must hold, rounded to
                        the digits that are printed. An expression has numbers, the names of the page's lines above it,
                        + - * / ( ) and ceil, floor, min, max. Commas in the number and the unit do not count.

usage: check_arithmetic.py [ROOT]
"""
import ast
import math
import operator
import pathlib
import re
import sys

BLOCK = re.compile(r"<!-- arithmetic -->\n```text\n(.*?)^```", re.S | re.M)
LINE = re.compile(r"^(\w+) *= *(.+?) *= *([\d,]+(?:\.\d+)?)(?: +\S.*)?$")
OPERATIONS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
FUNCTIONS = {"ceil": math.ceil, "floor": math.floor, "min": min, "max": max}


def value(node, names):
    if isinstance(node, ast.Expression):
        return value(node.body, names)
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return node.value
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATIONS:
        return OPERATIONS[type(node.op)](value(node.left, names), value(node.right, names))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
        return FUNCTIONS[node.func.id](*(value(a, names) for a in node.args))
    raise ValueError(f"'{ast.unparse(node)}' is not a number, a name above or an operation")


def line_problem(line, names):
    """Empty, or what is wrong; the name is then known to the lines below."""
    parts = LINE.match(line)
    if not parts:
        return "is not \"name = expression = number unit\""
    name, expression, printed = parts.groups()
    try:
        result = value(ast.parse(expression, mode="eval"), names)
    except (SyntaxError, ValueError, ZeroDivisionError) as error:
        return f"cannot be computed: {error}"
    names[name] = result
    digits = len(printed.partition(".")[2])
    if abs(result - float(printed.replace(",", ""))) > 0.5000001 * 10**-digits:
        return f"says {printed}, but it is {result:,.{digits + 2}f}"
    return ""


def page_problems(text):
    names = {}
    for block in BLOCK.findall(text):
        for line in filter(str.strip, block.splitlines()):
            problem = line_problem(line.strip(), names)
            if problem:
                yield f"\"{line.strip()}\" {problem}"


def main():
    root = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
    pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    texts = {page: page.read_text(encoding="utf-8") for page in pages if page.exists()}
    found = [f"{page.relative_to(root)}: {problem}" for page, text in texts.items() for problem in page_problems(text)]
    count = sum(len([1 for line in block.splitlines() if line.strip()]) for text in texts.values()
                for block in BLOCK.findall(text))
    print("\n".join(found) or f"{count} lines of arithmetic hold")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
