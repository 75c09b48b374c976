#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the console blocks of the pages and compares what they print. Standard library only.

  <!-- run -->             before a ```console block: every line "$ ./dsv3 ..." is run with the built program, in one
                           scratch folder for the page, and must print exactly the lines below it.
  <!-- run by: FILE -->    the commands stand in FILE (.ci/run, say), which runs them.

Any other console block is an error: no command stands in a page unchecked.

usage: check_console.py PROGRAM [ROOT]
"""
import pathlib
import re
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"(?:<!-- (run(?: by: \S+)?) -->\n)?^```console\n(.*?)^```", re.S | re.M)


def commands(block):
    """(command, expected output) for each line that begins with "$ "; a trailing backslash goes on in the next line."""
    steps = []
    for line in block.replace("\\\n", "").splitlines(keepends=True):
        if line.startswith("$ "):
            steps.append([line[2:].strip(), ""])
        elif steps:
            steps[-1][1] += line
    return steps


def problems_of_run(program, folder, block):
    for command, expected in commands(block):
        done = subprocess.run(["bash", "-c", command.replace("./dsv3", str(program))], cwd=folder,
                              capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            yield f"`{command}` ended with {done.returncode}: {done.stderr.strip()[-300:]}"
        elif done.stdout != expected:
            yield f"`{command}` prints\n{done.stdout}but the page says\n{expected}"


def problems_of_page(program, root, page):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "tests").symlink_to(root / "tests")
        for how, block in BLOCK.findall(page.read_text()):
            if how == "run":
                yield from problems_of_run(program, folder, block)
            elif how.startswith("run by: "):
                runner = (root / how.split(": ")[1]).read_text()
                for command, _ in commands(block):
                    if command not in runner:
                        yield f"`{command}` does not stand in {how.split(': ')[1]}"
            else:
                yield f"a console block is neither run nor run by anything: {block.strip().splitlines()[0]}"


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    root = pathlib.Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else pathlib.Path(__file__).resolve().parent.parent
    pages = [root / "README.md", *sorted((root / "docs").glob("*.md")), *sorted((root / "tests").rglob("README.md"))]
    found = [f"{page.relative_to(root)}: {problem}" for page in pages if page.exists()
             for problem in problems_of_page(program, root, page)]
    print("\n".join(found) or f"{len(pages)} pages: every command prints what the page says")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
