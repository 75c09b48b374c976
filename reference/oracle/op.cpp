// SPDX-License-Identifier: MIT
#include "reference/oracle/op.hpp"

#include <algorithm>

#include "reference/checkpoint/safetensors.hpp"
#include "reference/checkpoint/strict_json.hpp"
#include "reference/core/require.hpp"
#include "reference/oracle/joined.hpp"

namespace dsv3::oracle {
namespace {

std::string where(const Op& op) { return "oracle " + op.name; }

std::string dtype_names(const std::vector<Dtype>& dtypes) {
  return joined(
      dtypes, [](Dtype dtype) { return name(dtype); }, " or ");
}

void require_fits(const Op& op, const TensorSpec& spec, const Tensor& t, Sizes& sizes) {
  const std::string what = where(op) + ": " + spec.name;
  require(std::ranges::find(spec.dtypes, t.dtype) != spec.dtypes.end(), what, "is ", name(t.dtype), "; it must be ",
          dtype_names(spec.dtypes));
  require(static_cast<Index>(t.bytes.size()) == t.size() * element_bytes(t.dtype), what, "has ", t.bytes.size(),
          " bytes; ", shape_text(t.shape), " of ", name(t.dtype), " needs ", t.size() * element_bytes(t.dtype));
  const std::string wrong = bind(spec.shape, t.shape, sizes);
  require(wrong.empty(), what, wrong);
}

/// Whole-number attributes are letters too: a group's size, the number of experts a token reaches.
Sizes sizes_of(const Attributes& attributes) {
  Sizes sizes;
  for (const auto& [name, value] : attributes)
    if (const auto* whole = std::get_if<Index>(&value)) sizes[name] = *whole;
  return sizes;
}

const CaseKind& kind_named(const Op& op, const std::string& name) {
  const auto found = std::ranges::find(op.kinds, name, &CaseKind::name);
  require(found != op.kinds.end(), where(op), "there is no kind of case ", in_quotes(name), "; it has ",
          joined(op.kinds, &CaseKind::name));
  return *found;
}

void require_drawable(const Op& op, const Sizes& sizes) {
  for (const TensorSpec& spec : op.inputs) {
    double elements = 1;
    for (const Index n : shape_of(spec.shape, sizes)) elements *= static_cast<double>(n);
    require(elements <= 0x1p31, where(op), spec.name, " would have ", elements, " elements; at most 2^31 are drawn");
  }
}

}  // namespace

Limits all_bits(const Tensors& ours) {
  Limits limits;
  for (const auto& [name, tensor] : ours) limits[name] = {};
  return limits;
}

Case checked(const Op& op, Tensors inputs, const Attributes& attributes) {
  Case c{.inputs = {}, .attributes = complete(attributes, op.attributes, where(op)), .sizes = {}};
  c.sizes = sizes_of(c.attributes);
  for (const TensorSpec& spec : op.inputs) {
    const auto found = inputs.find(spec.name);
    require(found != inputs.end(), where(op), spec.name, " is missing; it needs ", spec.name, " ", text(spec.shape),
            " of ", dtype_names(spec.dtypes));
    require_fits(op, spec, found->second, c.sizes);
    c.inputs.insert(inputs.extract(found));
  }
  require(inputs.empty(), where(op), "there is no input ", in_quotes(inputs.empty() ? "" : inputs.begin()->first),
          "; it has ", joined(op.inputs, &TensorSpec::name));
  return c;
}

Case drawn(const Op& op, const std::string& kind_name, std::uint64_t seed, const Sizes& sizes,
           const Attributes& attributes) {
  const CaseKind& kind = kind_named(op, kind_name);
  Attributes given = kind.attributes;
  for (const auto& [name, value] : attributes) given[name] = value;
  const Attributes all = complete(given, op.attributes, where(op));
  Sizes wanted = kind.sizes;
  for (const auto& [letter, n] : sizes) {
    require(kind.sizes.contains(letter), where(op), "there is no size ", in_quotes(letter), "; it has ",
            joined(kind.sizes, &Sizes::value_type::first));
    require(n >= 0, where(op), letter, " is ", n, "; it must be at least 0");
    wanted[letter] = n;
  }
  wanted.merge(sizes_of(all));
  require_drawable(op, wanted);
  Random random = stream(seed, op.name + "/" + kind_name);
  return checked(op, op.draw(kind_name, wanted, all, random), all);
}

Tensors run(const Op& op, const Case& c) {
  try {
    return op.run(c);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(where(op) + ": " + error.what());
  }
}

}  // namespace dsv3::oracle
