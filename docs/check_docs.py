#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fails when prose and code part ways. Standard library only.

  <!-- code: PATH -->      before a fenced block: the block stands in PATH (from the root), line for line, indentation
                           and blank lines aside. Every ```cpp block needs it.
  [text](PATH#name)        PATH (from the page) exists; in a source file `name` (or A::b) stands outside comments; in a
                           page it is a heading.
  [case](x_test.cpp)       the test file has a TEST_CASE of that name.
  docs/report_index.md     every equation, figure and table of the report exactly once, each with a link to the code
                           (PATH#name), `not yet`, or `no code: REASON`. A file named for an equation cites it.
  *.hpp, *.cpp             cite only equations, figures and tables that the report has.
  tests/, cuda/            a folder with x_test.cpp has its namesake in reference/ (tests/cuda/ in cuda/), a folder of
                           kernels as well.

usage: check_docs.py [ROOT]
"""
import pathlib
import re
import sys

THERE_ARE = {"Eq": 28, "Figure": 10, "Table": 9}
SKIPPED = {"build", ".git", "shared", "node_modules", ".venv"}

QUOTE = re.compile(r"(?:<!-- code: (\S+) -->\n)?^```(\w*)\n(.*?)^```", re.S | re.M)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")
TEST_LINK = re.compile(r"\[([^\[\]]*)\]\((?!\w+:)([^)#\s]*_test\.cpp)\)")
ROW = re.compile(r"^\| *(Eq|Figure|Table) (\d+) *\|(.*)\|([^|]*)\| *$", re.M)
CITED = re.compile(r"\b(Eq|Figure|Table)s?\.? (\(?\d+\)?(?:(?:, | and |, and | to |-|–)\(?\d+\)?)*)")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)


def files(root, *suffixes):
    """All files of the project with one of the suffixes, built and hidden folders left out."""
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        hidden = any(p in SKIPPED or p.startswith((".", "build")) for p in parts)
        if path.suffix in suffixes and not hidden and path.is_file():
            yield path


def lines(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


def stands_in(block, text):
    want, have = lines(block), lines(text)
    return bool(want) and any(have[i:i + len(want)] == want for i in range(len(have) - len(want) + 1))


def anchors(page_text):
    """The headings of a Markdown page as links name them, and labels like {#name}."""
    prose = re.sub(r"^```.*?^```", "", page_text, flags=re.S | re.M)
    for heading in re.findall(r"^#+ +(.*?) *$", prose, re.M):
        label = re.search(r"\{#([\w-]+)\}", heading)
        if label:
            yield label.group(1)
            heading = heading[:label.start()].strip()
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def names_symbol(path, name):
    """Whether a source file has `name` outside its comments; of A::b both parts."""
    code = COMMENT.sub("", path.read_text(encoding="utf-8"))
    return all(re.search(rf"(?<!\w){re.escape(part)}(?!\w)", code) for part in name.split("::"))


def quote_problems(text, root):
    for path, language, block in QUOTE.findall(text):
        if not path:
            if language in ("cpp", "c++", "cuda"):
                yield f"has a C++ block without <!-- code: PATH -->: {(lines(block) or ['(empty)'])[0]} ..."
        elif not (root / path).is_file():
            yield f"quotes {path}, which is not there"
        elif not stands_in(block, (root / path).read_text(encoding="utf-8")):
            yield f"quotes {path}, but the file does not say: {(lines(block) or ['(nothing)'])[0]} ..."


def link_problems(page, text):
    prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.S | re.M)
    for path, name in LINK.findall(prose):
        target = page.parent / path if path else page
        if not target.exists():
            yield f"links to {path}, which is not there"
        elif name and target.suffix == ".md":
            if name not in anchors(target.read_text(encoding="utf-8")):
                yield f"links to {path}#{name}, but there is no such heading"
        elif name and target.is_file() and not names_symbol(target, name):
            yield f"links to {path}#{name}, but the code of {path} has no {name}"
        elif name and not target.is_file():
            yield f"links to {path}#{name}, but {path} is a folder"


def test_case_problems(page, text):
    for case, path in TEST_LINK.findall(text):
        target = page.parent / path
        if target.is_file() and f'TEST_CASE("{case}")' not in target.read_text(encoding="utf-8"):
            yield f"names the test \"{case}\", but {path} has no such case"


def cited(text):
    """The pairs (kind, number) that a source file cites, ranges like (13)-(16) and (1) to (11) filled."""
    for kind, numbers in CITED.findall(text):
        for first, last in re.findall(r"(\d+)\)?(?:(?:-|–| to )\(?(\d+))?", numbers):
            for number in range(int(first), int(last or first) + 1):
                yield kind, number


def cited_beside(path):
    """What a header and the .cpp file beside it cite. In a comment, "(3)" before or after a formula is enough."""
    found = set()
    for file in (path, path.with_suffix(".cpp")):
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            comments = " ".join(COMMENT.findall(text))
            found |= set(cited(text)) | {("Eq", int(n)) for n in re.findall(r"(?<!\w)\((\d+)\)", comments)}
    return found


def index_problems(page, text):
    rows = [(kind, int(number), where.strip()) for kind, number, _, where in ROW.findall(text)]
    for kind, count in THERE_ARE.items():
        numbers = [n for k, n, _ in rows if k == kind]
        for number in range(1, count + 1):
            if numbers.count(number) != 1:
                yield f"has {kind} {number} {numbers.count(number)} times; it must stand there once"
        for number in sorted(set(numbers) - set(range(1, count + 1))):
            yield f"has {kind} {number}, but the report has {count} of them"
    for kind, number, where in rows:
        targets = LINK.findall(where)
        if not targets and where != "not yet" and not re.match(r"no code: \S", where):
            yield f"{kind} {number} says \"{where}\"; it needs a link PATH#name, `not yet` or `no code: REASON`"
        for path, name in targets:
            file = page.parent / path
            if not name:
                yield f"{kind} {number} links to {path} without naming a function"
            elif kind == "Eq" and file.is_file() and (kind, number) not in cited_beside(file):
                yield f"{kind} {number} links to {path}, which does not cite Eq. ({number})"


def citation_problems(text):
    for kind, number in sorted(set(cited(text))):
        if not 1 <= number <= THERE_ARE[kind]:
            yield f"cites {kind} {number}, but the report has {THERE_ARE[kind]} of them"


def namesake_problems(root):
    for folder in sorted({path.parent.relative_to(root / "tests") for path in files(root, ".cpp")
                          if path.name.endswith("_test.cpp") and (root / "tests") in path.parents}):
        tested = folder if folder.parts[:1] == ("cuda",) else pathlib.Path("reference") / folder
        if not (root / tested).is_dir():
            yield f"tests/{folder}: there is no {tested} that it tests"
    for folder in sorted(path.name for path in (root / "cuda").glob("*/") if path.is_dir() and path.name != "bench"):
        if not (root / "reference" / folder).is_dir():
            yield f"cuda/{folder}: there is no reference/{folder} that it is the counterpart of"


def problems(root):
    index = root / "docs" / "report_index.md"
    pages = list(files(root, ".md"))
    if index not in pages:
        yield "docs/report_index.md is not there"
    yield from namesake_problems(root)
    for page in pages:
        text = page.read_text(encoding="utf-8")
        found = [*quote_problems(text, root), *link_problems(page, text), *test_case_problems(page, text)]
        found += index_problems(page, text) if page == index else []
        yield from (f"{page.relative_to(root)}: {what}" for what in found)
    for source in files(root, ".hpp", ".cpp", ".cu", ".cuh"):
        for what in citation_problems(source.read_text(encoding="utf-8")):
            yield f"{source.relative_to(root)}: {what}"


def main():
    default = pathlib.Path(__file__).resolve().parent.parent
    root = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else default
    found = list(problems(root))
    print("\n".join(found) if found else f"{len(list(files(root, '.md')))} pages: every quote, link and number holds")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
