// SPDX-License-Identifier: MIT
/// \file
/// Ops that are written down twice: as the reference has them, and as a twin on a tape, from which limits, gradients'
/// limits and imitations come.
#pragma once
#include <optional>

#include "reference/oracle/op.hpp"
#include "reference/oracle/twin/operators.hpp"

namespace dsv3::oracle {

/// What a twin sees of a call: its inputs as variables, and where its outputs go.
class Twin {
 public:
  /// `theirs`: where an output of theirs fits, what follows is computed from it, free of error.
  explicit Twin(const Case& c, const Tensors& theirs = {}, Arithmetic arithmetic = {})
      : call(c), tape(arithmetic), theirs_(theirs) {}

  /// An input, dimensions before the last as rows; the same variable each time.
  Var in(const std::string& name);
  /// States an output. Returns what to go on with: theirs where there is one, else y.
  Var out(const std::string& name, Var y);
  /// States an output of whole numbers: the twin's own, and those that theirs must have.
  void out(const std::string& name, const std::vector<std::int64_t>& own, const std::vector<std::int64_t>& needed);
  /// An output of whole numbers of theirs, if there is one of this many elements.
  std::optional<std::vector<std::int64_t>> theirs(const std::string& name, Index elements) const;
  /// An output of theirs that the twin does not state (codes, for one), where there is one that fits `ours`, else ours.
  Tensor theirs_or(const std::string& name, const Tensor& ours) const;

  const Case& call;
  Tape tape;
  bool writes = false;  ///< outputs are handed on as they are written, in FP32
  std::map<std::string, Var, std::less<>> inputs, outputs;
  struct Whole {
    std::vector<std::int64_t> own, needed;
  };
  std::map<std::string, Whole, std::less<>> whole_outputs;
  std::map<std::string, std::vector<std::string>> remarks;  ///< of outputs

 private:
  const Tensors& theirs_;
};

/// An op and, where `gradients` says so, its backward.
struct TwinOp {
  Op op;  ///< without run and limits
  std::function<void(Twin&)> twin;
  /// The reference's outputs; nothing where it does not have the conventions of the case. Then the outputs are the
  /// twin's, in double, rounded once. Outputs that the twin does not state (codes, indices) must be there in any case;
  /// of them every bit is defined.
  std::function<std::optional<Tensors>(const Case&)> forward;
  /// The inputs that have gradients. The backward op OP_backward has the same inputs, dy for each output y of floats
  /// that is not optional, and gives dx for each of these.
  std::vector<std::string> gradients = {};
  /// Activations whose gradients are optional outputs of the backward op, and with them all outputs of the forward:
  /// where theirs has them, what comes after them is judged from theirs. In the order of the forward.
  std::vector<std::string> passed = {};
  std::function<std::optional<Tensors>(const Case&)> backward = {};
  std::string backward_contract = {};
};

/// One op or two.
std::vector<Op> ops_of(const TwinOp& t);

}  // namespace dsv3::oracle
