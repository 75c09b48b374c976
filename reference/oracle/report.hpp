// SPDX-License-Identifier: MIT
/// \file
/// What check and find answer, in the same words from the command line and from C.
#pragma once
#include "reference/oracle/verdict.hpp"

namespace dsv3::oracle {

/// What is to be said of a case before anything is said of outputs: which attributes nobody gave, with the defaults
/// that they have. Each a line without its end.
std::vector<std::string> remarks_of(const Case& c);

struct Report {
  Agreement agreement = Agreement::outside;  ///< of check; of find that of the best reading
  bool found = false;                        ///< of find: whether a reading gives these values
  std::string text, json;                    ///< lines for people; an object in one line, with "remarks" at its end
};

Report check_report(const Op& op, const Case& c, const Tensors& theirs);
/// Outputs without elements are no reading's: nothing is found.
Report find_report(const Op& op, const Case& c, const Tensors& theirs);

}  // namespace dsv3::oracle
