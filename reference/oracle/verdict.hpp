// SPDX-License-Identifier: MIT
/// \file
/// What the oracle says of another implementation's outputs.
#pragma once
#include "reference/oracle/op.hpp"

namespace dsv3::oracle {

enum class Agreement {
  nothing,  ///< there is no element to compare
  bits,     ///< every bit is ours
  within,   ///< every element is within its derived bound, and all together within the spread
  outside   ///< at least one is not, or the type or shape is another, or it is missing
};

/// "nothing to compare", "equal bit for bit", "within the bound", "OUTSIDE".
const char* name(Agreement agreement);

/// How many of the elements that are outside share a place in the tensor, and how many such places there are.
struct Place {
  std::string where;           ///< "row 3", "column 127", "the last 44 columns", "multiples of 128 rows"
  Index outside = 0, all = 0;  ///< elements
};

struct TensorVerdict {
  std::string name;
  Agreement agreement = Agreement::outside;
  std::string why = {};  ///< of outside, in a sentence; else empty
  std::vector<std::string> remarks = {};
  Index elements = 0, different = 0, outside = 0;
  /// The first element that is outside or, where none is, that with the largest share of its bound.
  std::vector<Index> index = {};
  double ours = 0, theirs = 0, bound = 0;
  double ulps = 0;      ///< |theirs - ours| there in units in the last place of their type at ours
  double share = 0;     ///< the largest |theirs - ours| / bound
  double distance = 0;  ///< root mean square of theirs - ours, over what is finite
  double rms = 0;       ///< root mean square of |theirs - ours| / spread; at most 1 is sound. 0: not judged
  std::vector<Place> places = {};
};

struct Verdict {
  Agreement agreement = Agreement::nothing;
  std::vector<TensorVerdict> tensors = {};  ///< in the order of the op's outputs, which is that of the computation
};

/// Compares `theirs` with the reference's outputs of the case. A tensor may be of a narrower or wider type where its
/// limit is a bound: half a step of theirs is then added to it. NaN agrees with NaN and an infinity with itself, at the
/// same place. Throws std::invalid_argument for a tensor that is no output of the op.
Verdict judge(const Op& op, const Case& c, const Tensors& theirs);
/// The same with the outputs of the reference at hand.
Verdict judge(const Op& op, const Case& c, const Tensors& ours, const Tensors& theirs);
/// The same with other limits.
Verdict judge(const Op& op, const Tensors& ours, const Limits& limits, const Tensors& theirs);

/// What is said, in a line, of outputs that have no element.
inline constexpr const char* nothing_compared = "nothing was compared: no output has an element\n";

/// The verdict in words, a line or a few for each tensor.
std::string text(const Verdict& verdict);
std::string to_json(const Verdict& verdict);

}  // namespace dsv3::oracle
