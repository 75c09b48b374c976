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
  /// Elements, over all outputs; all those of an output that cannot be compared.
  Index outside = 0, different = 0;
};

struct Search {
  Index tried = 0;
  /// At most four: those with the best agreement, then within their bounds by the fewest changes, then the fewest
  /// elements outside and the fewest that differ.
  std::vector<Finding> best;
  Finding as_it_is = {};                          ///< no attribute changed
  std::map<std::string, std::string> zeros = {};  ///< of attributes that have one, the word for 0
  bool found() const { return !best.empty() && best.front().verdict.agreement != Agreement::outside; }
};

/// Judges theirs against the op as it is, with every other choice of each attribute that is a convention, and, where
/// none of these gives their bits (for an op with a twin: is within its bounds), with every two of them. A choice that
/// the op refuses for this case is passed over, and so is one that only widens bounds: what was outside must come
/// nearer by half at least. Where something is missing, or of another shape or type, nothing is tried.
Search find(const Op& op, const Case& c, const Tensors& theirs);

/// The result in words: what reproduces the other side, or that nothing does and what comes nearest.
std::string text(const Search& search, const Case& c);
std::string to_json(const Search& search);

}  // namespace dsv3::oracle
