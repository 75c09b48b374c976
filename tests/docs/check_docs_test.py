#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every fault that docs/check_docs.py looks for is found in a small project made for it, and a sound one passes."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
sys.dont_write_bytecode = True
sys.path.insert(0, str(DOCS))
import check_docs  # noqa: E402
import doxygen_links  # noqa: E402

HEADER = """// SPDX-License-Identifier: MIT
/// Eqs. (1)-(20), (21) to (28); Figures 1 and 2. only_in_comment
struct Gate {
  void route(int tokens) const;
};
"""
PAGE = """# Heading of a page {#top}

## A second one

<!-- code: gate.hpp -->
```cpp
struct Gate {
void route(int tokens) const;
```
[a](gate.hpp) [b](gate.hpp#Gate::route) [c](#top) [d](#a-second-one) [e](https://example.org#x) `[f](nowhere.hpp)`
"""


def index(replace=None):
    """A sound index, or one with rows replaced: {("Eq", 3): "text of the rows"}."""
    rows = []
    for kind, count in check_docs.THERE_ARE.items():
        for n in range(1, count + 1):
            row = f"| {kind} {n} | 2.1 | what | " + ("[r](../gate.hpp#route) |" if kind == "Eq" else "not yet |")
            rows.append((replace or {}).get((kind, n), row))
    return "\n".join(rows) + "\n"


class CheckDocs(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        (self.root / "docs").mkdir()
        self.write("gate.hpp", HEADER)
        self.write("README.md", PAGE)
        self.write("docs/report_index.md", index())

    def write(self, path, text):
        (self.root / path).write_text(text, encoding="utf-8")

    def finds(self, expected):
        found = list(check_docs.problems(self.root))
        self.assertEqual(len(found), 1, found)
        self.assertIn(expected, found[0])

    def test_a_sound_project_has_no_problems(self):
        self.assertEqual(list(check_docs.problems(self.root)), [])
        run = subprocess.run([sys.executable, DOCS / "check_docs.py", self.root], capture_output=True, text=True)
        self.assertEqual((run.returncode, run.stdout), (0, "2 pages: every quote, link and number holds\n"))

    def test_the_exit_status_is_1_and_every_problem_is_a_line(self):
        self.write("README.md", "[a](gone.hpp) [b](gone_too.hpp)")
        run = subprocess.run([sys.executable, DOCS / "check_docs.py", self.root], capture_output=True, text=True)
        self.assertEqual(run.returncode, 1)
        self.assertEqual(run.stdout.splitlines(), ["README.md: links to gone.hpp, which is not there",
                                                   "README.md: links to gone_too.hpp, which is not there"])

    def test_a_quote_that_the_file_no_longer_says(self):
        self.write("README.md", PAGE.replace("int tokens", "int rows"))
        self.finds("quotes gate.hpp, but the file does not say: struct Gate {")

    def test_a_quote_with_a_line_left_out(self):
        self.write("gate.hpp", HEADER.replace("struct Gate {\n", "struct Gate {\n  int added;\n"))
        self.finds("quotes gate.hpp, but")

    def test_an_empty_quote_proves_nothing(self):
        self.write("README.md", "<!-- code: gate.hpp -->\n```cpp\n\n```\n")
        self.finds("(nothing)")

    def test_a_quote_of_a_file_that_is_gone(self):
        self.write("README.md", PAGE.replace("code: gate.hpp", "code: gone.hpp"))
        self.finds("quotes gone.hpp, which is not there")

    def test_cpp_on_a_page_must_be_a_quote(self):
        self.write("README.md", "```cpp\nint x;\n```\n```\nany text\n```\n")
        self.finds("C++ block without")

    def test_links_to_what_is_gone(self):
        for link, expected in [("gate.hpp#missing", "has no missing"), ("gate.hpp#rout", "has no rout"),
                               ("gate.hpp#only_in_comment", "has no only_in_comment"),
                               ("gate.hpp#Other::route", "has no Other::route"), ("gone.hpp#x", "not there"),
                               ("#no-such", "no such heading"), ("docs#x", "is a folder")]:
            with self.subTest(link):
                self.write("README.md", f"# A page\n[x]({link})\n")
                self.finds(expected)

    def test_a_named_test_case_that_is_gone(self):
        self.write("gate_test.cpp", 'TEST_CASE("gate: chooses") {}\n')
        self.write("README.md", "[gate: chooses](gate_test.cpp)\n")
        self.assertEqual(list(check_docs.problems(self.root)), [])
        self.write("README.md", "[gate: weighs](gate_test.cpp)\n")
        self.finds('names the test "gate: weighs", but gate_test.cpp has no such case')

    def test_tests_of_nothing(self):
        (self.root / "tests" / "gate").mkdir(parents=True)
        self.write("tests/gate/gate_test.cpp", "")
        self.finds("tests/gate: there is no reference/gate that it tests")
        (self.root / "reference" / "gate").mkdir(parents=True)
        self.assertEqual(list(check_docs.problems(self.root)), [])

    def test_kernels_and_their_tests_have_namesakes(self):
        (self.root / "tests" / "cuda" / "gate").mkdir(parents=True)
        self.write("tests/cuda/gate/gate_test.cpp", "")
        self.finds("tests/cuda/gate: there is no cuda/gate that it tests")
        (self.root / "cuda" / "gate").mkdir(parents=True)
        self.finds("cuda/gate: there is no reference/gate that it is the counterpart of")
        (self.root / "reference" / "gate").mkdir(parents=True)
        self.assertEqual(list(check_docs.problems(self.root)), [])

    def test_an_equation_that_is_missing_doubled_or_too_many(self):
        row = "| Eq 3 | 2.1 | what | not yet |"
        for rows, expected in [("", "has Eq 3 0 times"), (row + "\n" + row, "has Eq 3 2 times"),
                               (row + "\n" + row.replace("3", "29"), "has Eq 29, but the report has 28")]:
            with self.subTest(expected):
                self.write("docs/report_index.md", index({("Eq", 3): rows}))
                self.finds(expected)

    def test_a_row_that_says_neither_where_nor_why_not(self):
        for where, expected in [("somewhere", 'says "somewhere"'), ("no code:", 'says "no code:"'), ("", 'says ""'),
                                ("[g](../gate.hpp)", "without naming a function")]:
            with self.subTest(where):
                self.write("docs/report_index.md", index({("Table", 2): f"| Table 2 | 2 | what | {where} |"}))
                self.finds(expected)

    def test_a_file_named_for_an_equation_must_cite_it(self):
        self.write("gate.hpp", HEADER.replace("(21) to (28)", "(21) to (27)"))
        self.finds("Eq 28 links to ../gate.hpp, which does not cite Eq. (28)")
        self.write("gate.cpp", "int x = f(28);\n")  # a call is no citation
        self.finds("does not cite Eq. (28)")
        self.write("gate.cpp", "int x;  // Eq. (28)\n")
        self.assertEqual(list(check_docs.problems(self.root)), [])

    def test_sources_cite_only_what_the_report_has(self):
        for text, expected in [("Eq. (29)", "cites Eq 29"), ("Eqs. (27)-(29)", "cites Eq 29"),
                               ("Figure 11", "cites Figure 11"), ("Tables 9 and 10", "cites Table 10")]:
            with self.subTest(text):
                self.write("other.cpp", f"// {text}\n")
                self.finds(f"other.cpp: {expected}")

    def test_folders_that_are_built_or_hidden_are_left_out(self):
        for folder in ("build", "build-dev", ".hidden"):
            (self.root / folder).mkdir()
            self.write(f"{folder}/page.md", "[a](gone.hpp)")
        self.assertEqual(list(check_docs.problems(self.root)), [])

    def test_a_project_without_index(self):
        (self.root / "docs/report_index.md").unlink()
        self.finds("docs/report_index.md is not there")


class DoxygenLinks(unittest.TestCase):
    def test_names_and_headings_become_references_and_files_their_text(self):
        for link, expected in [("[b](../a/x.hpp#A::b)", '\\ref dsv3::A::b "b"'), ("[k](../cuda/x.hpp#f)", '\\ref dsv3::cuda::f "k"'),
                               ("[p](p.md#top)", '\\ref top "p"'),
                               ("[p](p.md)", "[p](p.md)"), ("[s](x.py#f)", "s"), ("[w](https://a.b#c)", "[w](https://a.b#c)"),
                               ("![i](x.svg)", "![i](x.svg)")]:
            self.assertEqual(doxygen_links.LINK.sub(doxygen_links.for_doxygen, link), expected)


if __name__ == "__main__":
    unittest.main()
