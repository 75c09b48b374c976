#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/check_arithmetic.py holds pages to their numbers: right lines pass, every kind of wrong one is named."""
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "docs"))
import check_arithmetic  # noqa: E402


def problems(*lines):
    block = "\n".join(lines)
    return list(check_arithmetic.page_problems(f"Prose: x = 1 = 2\n\n<!-- arithmetic -->\n```text\n{block}\n```\n"))


class Arithmetic(unittest.TestCase):
    def test_right_lines(self):
        self.assertEqual(problems("M = 4096 = 4,096 rows", "half = M / 2 = 2048", "x = (1 + 2) * ceil(7 / 2) - 1 = 11",
                                  "third = 1 / 3 = 0.33 of it", "m = min(8, floor(7.9), max(1, 2)) = 2"), [])

    def test_wrong_numbers(self):
        self.assertIn("it is 6.00", problems("x = 2 * 3 = 7")[0])
        self.assertIn("says 0.34", problems("x = 1 / 3 = 0.34")[0])
        self.assertEqual(len(problems("x = 2.5 = 2", "y = 2.51 = 2", "z = 2.49 = 2")), 1)  # a half may round either way

    def test_lines_that_cannot_be_computed(self):
        self.assertIn("is not", problems("x = y = 1")[0])
        self.assertIn("is not", problems("only words")[0])
        self.assertIn("cannot be computed", problems("x = 1 / 0 = 1")[0])
        self.assertIn("cannot be computed", problems("x = 2 + = 1")[0])
        self.assertIn("cannot be computed", problems("x = open(1) = 1")[0])
        self.assertIn("cannot be computed", problems("x = 2 ** 3 = 8")[0])

    def test_names_are_of_one_page(self):
        self.assertEqual(problems("a = 3 = 3", "b = a * a = 9"), [])
        self.assertEqual(len(problems("b = a * a = 9")), 1)


if __name__ == "__main__":
    unittest.main()
