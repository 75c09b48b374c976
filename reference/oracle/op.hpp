// SPDX-License-Identifier: MIT
/// \file
/// An op of the oracle: everything that the command line, the C interface, the Python module, the golden packs and the
/// documentation know about it is one value of type Op.
#pragma once
#include <functional>

#include "reference/core/random.hpp"
#include "reference/oracle/attributes.hpp"
#include "reference/oracle/sizes.hpp"
#include "reference/oracle/tensor.hpp"

namespace dsv3::oracle {

struct TensorSpec {
  std::string name;
  std::vector<Dtype> dtypes;  ///< one of these; of an output: what the reference writes
  ShapeText shape;
  std::string what;
  bool optional = false;  ///< of an output: an intermediate value, judged where theirs has it
};

/// A call of an op that fits its description: see checked().
struct Case {
  Tensors inputs;
  Attributes attributes;                  ///< all of them
  Sizes sizes;                            ///< of the letters in the inputs' shapes, and of whole-number attributes
  std::vector<std::string> assumed = {};  ///< the attributes that nobody gave, which have their defaults

  const Tensor& in(std::string_view name) const { return inputs.find(name)->second; }
  template <class T>
  const T& attribute(std::string_view name) const {
    return std::get<T>(attributes.find(name)->second);
  }
  const std::string& word(std::string_view name) const { return attribute<std::string>(name); }
};

/// What another implementation's output may be, given ours.
struct Limit {
  /// Empty: every bit is defined, and only they will do (NaNs of any kind are alike). Otherwise |theirs - center| of
  /// each element may be this large, and half a step of the type that theirs are written in.
  Doubles bound = {};
  /// Of a sound implementation the root mean square of |theirs - center| / spread is at most 1. Empty: not judged.
  Doubles spread = {};
  Doubles center = {};                    ///< empty: ours
  std::vector<std::string> remarks = {};  ///< to be said of this output, one line each
};
using Limits = std::map<std::string, Limit, std::less<>>;

/// Every bit of every output is defined.
Limits all_bits(const Tensors& ours);

/// A way to draw the inputs of a case.
struct CaseKind {
  std::string name, what;
  Sizes sizes;  ///< of all letters that inputs need, where nobody says otherwise
  Attributes attributes = {};
};

struct Arithmetic;  // of a twin: twin/tape.hpp

struct Op {
  std::string name, what;  ///< `what`: equation with number and section
  std::string contract;    ///< rounding points, order, ties, special values
  std::vector<TensorSpec> inputs, outputs;
  std::vector<AttributeSpec> attributes;
  /// What sizes and attributes must be together and, of a case that has its inputs already, their values. Throws
  /// std::invalid_argument "NAME ..." of an input, a size or an attribute. Empty: nothing.
  std::function<void(const Case&)> demands = {};
  std::function<Tensors(const Case&)> run;
  /// What of theirs came first may decide what the rest of theirs must be: an op with intermediate outputs is judged
  /// step by step, each from theirs before it.
  std::function<Limits(const Case&, const Tensors& ours, const Tensors& theirs)> limits;
  /// The outputs computed in another arithmetic: what somebody else's implementation might give. Not every op has it.
  std::function<Tensors(const Case&, const Arithmetic&)> imitate;
  std::vector<CaseKind> kinds;  ///< the first one is ordinary
  /// The inputs of a case of that kind; sizes and attributes are complete.
  std::function<Tensors(const std::string& kind, const Sizes&, const Attributes&, Random&)> draw;
};

/// The case, its tensors of the right types and shapes, its attributes complete. Throws std::invalid_argument "oracle
/// OP: ..." naming the first input or attribute that is missing, unknown or does not fit, and what is needed; and for
/// what is too large: a tensor of more than 2^31 elements, where a size of 0 counts as 1, or inputs and outputs that
/// take more than 4 GiB together, or more than the environment variable DSV3_ORACLE_GIB says.
Case checked(const Op& op, Tensors inputs, const Attributes& attributes);

/// The inputs of a case drawn from `seed`, the same on every machine. `sizes` and `attributes` take the place of the
/// kind's. Throws std::invalid_argument for a kind, letter or attribute that there is not, and as checked() and run()
/// do for the case that would be drawn: what can be drawn can be run.
Case drawn(const Op& op, const std::string& kind, std::uint64_t seed, const Sizes& sizes, const Attributes& attributes);

/// The outputs of the reference; optional ones may be missing. Throws std::invalid_argument "oracle OP: ..." for what
/// the op demands and values that it refuses.
Tensors run(const Op& op, const Case& c);

}  // namespace dsv3::oracle
