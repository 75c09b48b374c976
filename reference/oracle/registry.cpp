// SPDX-License-Identifier: MIT
#include "reference/oracle/registry.hpp"

#include <algorithm>

#include "reference/checkpoint/strict_json.hpp"
#include "reference/core/words.hpp"
#include "reference/oracle/joined.hpp"
#include "reference/oracle/ops/ops.hpp"

namespace dsv3::oracle {
namespace {

/// Neither runs nor imitates what the op refuses, whatever somebody has changed in the case.
Op guarded(Op op) {
  if (!op.demands) return op;
  op.run = [run = op.run, demands = op.demands](const Case& c) {
    demands(c);
    return run(c);
  };
  if (op.imitate)
    op.imitate = [imitate = op.imitate, demands = op.demands](const Case& c, const Arithmetic& arithmetic) {
      demands(c);
      return imitate(c, arithmetic);
    };
  return op;
}

}  // namespace

const std::vector<Op>& registry() {
  static const std::vector<Op> all = [] {
    std::vector<Op> ops;
    for (std::vector<Op> family :
         {format_ops(), stored_ops(), packing_ops(), fp8_gemm_ops(), fp8_grouped_ops(), linear_ops(), norm_ops(),
          rope_ops(), swiglu_ops(), gate_ops(), permute_ops(), mla_ops(), mtp_ops(), loss_ops(), balance_ops(),
          bias_ops(), adamw_ops(), layer_ops(), model_ops()})
      std::ranges::transform(family, std::back_inserter(ops), guarded);
    return ops;
  }();
  return all;
}

const Op& op_named(std::string_view name) {
  const auto found = std::ranges::find(registry(), name, &Op::name);
  if (found != registry().end()) return *found;
  std::vector<std::string> known;
  for (const Op& op : registry()) known.push_back(op.name);
  const std::string meant = did_you_mean(name, known);
  throw std::invalid_argument(concat("oracle: there is no op ", in_quotes(name),
                                     meant.empty() ? "; it must be one of " + joined(known) : meant));
}

}  // namespace dsv3::oracle
