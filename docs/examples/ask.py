# SPDX-License-Identifier: MIT
"""A kernel that follows another convention than the case says, and how the oracle names it."""
import dsv3

case = dsv3.gen("quantise", "ordinary", seed=1)
theirs = dsv3.quantise(case["x"], dialect="deepep_kernel")  # stands for a kernel of yours: {"q": ..., "s": ...}
print(dsv3.check("quantise", case, theirs))
print(dsv3.find("quantise", case, theirs))
