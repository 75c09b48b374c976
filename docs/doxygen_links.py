#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints a Markdown page as Doxygen should read it: a link path.hpp#A::b becomes a reference to dsv3::A::b, a link to a
heading of a page one to its label, and a link to any other file its text: only README.md and docs/ are pages there.
usage: doxygen_links.py PAGE"""
import re
import sys

LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")


def for_doxygen(link):
    text, path, name = link.groups()
    if path.endswith(".hpp") and name:
        return f'\\ref dsv3::{"cuda::" if "cuda/" in path else ""}{name} "{text}"'
    if name and (path.endswith(".md") or not path):
        return f'\\ref {name} "{text}"'
    return link.group(0) if path.endswith(".md") and "tests/" not in path else text


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as page:
        sys.stdout.write(LINK.sub(for_doxygen, page.read()))
