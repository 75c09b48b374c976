// SPDX-License-Identifier: MIT
/// \file
/// Which of the conventions in use another implementation follows.
#pragma once
#include "reference/oracle/verdict.hpp"

namespace dsv3::oracle {

/// One way to read a case: the attributes that are other than in the case, and how theirs then compare.
struct Finding {
  Attributes changed;
  Verdict verdict;
  Index different = 0;  ///< elements, over all outputs; all those of an output that cannot be compared
};

struct Search {
  Index tried = 0;
  std::vector<Finding> best;  ///< those with the fewest differing elements, at most four, the fewest changes first
  bool found() const { return !best.empty() && best.front().different == 0; }
};

/// Runs the op as it is, with every other choice of each attribute that is a convention, and, where none of these gives
/// their bits, with every two of them. A choice that the op refuses for this case is passed over.
Search find(const Op& op, const Case& c, const Tensors& theirs);

/// The result in words: what reproduces the other side, or that nothing does and what comes nearest.
std::string text(const Search& search, const Case& c);
std::string to_json(const Search& search);

}  // namespace dsv3::oracle
