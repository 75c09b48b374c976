// SPDX-License-Identifier: MIT
#include "reference/oracle/op.hpp"

#include <algorithm>
#include <cstdlib>

#include "reference/checkpoint/safetensors.hpp"
#include "reference/checkpoint/strict_json.hpp"
#include "reference/core/require.hpp"
#include "reference/oracle/joined.hpp"

namespace dsv3::oracle {
namespace {

std::string where(const Op& op) { return "oracle " + op.name; }

/// The reference names its own parts first ("RmsNorm: x is ..."); a caller knows tensors, sizes and attributes.
std::string in_words_of(const Op& op, const std::string& said) {
  const std::string first = said.substr(0, std::min(said.find(": "), said.size()));
  const auto has = [&](const auto& specs, auto name) { return std::ranges::find(specs, first, name) != specs.end(); };
  const bool known = has(op.inputs, &TensorSpec::name) || has(op.outputs, &TensorSpec::name) ||
                     has(op.attributes, &AttributeSpec::name) || first.find(' ') != std::string::npos;
  return where(op) + ": " + (known || first == said ? said : said.substr(first.size() + 2));
}

void require_demands(const Op& op, const Case& c) {
  if (!op.demands) return;
  try {
    op.demands(c);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(in_words_of(op, error.what()));
  }
}

constexpr Index max_elements = Index{1} << 31;

/// Where a size of 0 counts as 1: an op may still multiply the others.
double extent(const std::vector<Index>& shape) {
  double elements = 1;
  for (const Index n : shape) elements *= static_cast<double>(std::max<Index>(n, 1));
  return elements;
}

double most_gib() {
  constexpr const char* name = "DSV3_ORACLE_GIB";
  const char* const given = std::getenv(name);
  if (given == nullptr) return 4;
  const AttributeSpec spec{.name = name, .fallback = 4.0, .what = "", .least = 0, .above_least = true};
  return std::get<double>(attribute_from(given, spec, "oracle"));
}

/// Of a case with these sizes. Nothing may be multiplied before this.
void require_size(const Op& op, const Sizes& sizes) {
  for (const auto& [letter, n] : sizes)
    require(n <= max_elements, where(op), letter, " is ", n, "; at most 2^31 is taken");
  double bytes = 0;
  for (const auto* specs : {&op.inputs, &op.outputs})
    for (const TensorSpec& spec : *specs) {
      const std::vector<Index> shape = shape_of(spec.shape, sizes);
      require(extent(shape) <= static_cast<double>(max_elements), where(op), spec.name, " would have the shape ",
              shape_text(shape), "; at most 2^31 elements are taken, where a size of 0 counts as 1");
      bytes += extent(shape) * static_cast<double>(element_bytes(spec.dtypes.front()));
    }
  const double gib = bytes / 0x1p30, most = most_gib();
  require(gib <= most, where(op), "inputs and outputs would take ", gib, " GiB; at most ", most,
          " are taken, or what the environment variable DSV3_ORACLE_GIB says; a check takes many times as much memory");
}

std::string dtype_names(const std::vector<Dtype>& dtypes) {
  return joined(
      dtypes, [](Dtype dtype) { return name(dtype); }, " or ");
}

void require_fits(const Op& op, const TensorSpec& spec, const Tensor& t, Sizes& sizes) {
  const std::string what = where(op) + ": " + spec.name, in_file = where(op) + ": " + in_quotes(spec.name);
  require(std::ranges::find(spec.dtypes, t.dtype) != spec.dtypes.end(), what, "is ", name(t.dtype), "; it must be ",
          dtype_names(spec.dtypes));
  require(std::ranges::all_of(t.shape, [](Index n) { return n >= 0; }) &&
              extent(t.shape) <= static_cast<double>(max_elements),
          in_file, "has the shape ", shape_text(t.shape),
          "; at most 2^31 elements are taken, where a size of 0 counts as 1");
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

}  // namespace

Limits all_bits(const Tensors& ours) {
  Limits limits;
  for (const auto& [name, tensor] : ours) limits[name] = {};
  return limits;
}

Case checked(const Op& op, Tensors inputs, const Attributes& attributes) {
  Case c{.inputs = {}, .attributes = complete(attributes, op.attributes, where(op)), .sizes = {}};
  c.sizes = sizes_of(c.attributes);
  for (const AttributeSpec& spec : op.attributes)
    if (!attributes.contains(spec.name)) c.assumed.push_back(spec.name);
  for (const TensorSpec& spec : op.inputs) {
    const auto found = inputs.find(spec.name);
    require(found != inputs.end(), where(op), spec.name, " is missing; it needs ", spec.name, " ", text(spec.shape),
            " of ", dtype_names(spec.dtypes));
    require_fits(op, spec, found->second, c.sizes);
    c.inputs.insert(inputs.extract(found));
  }
  require(inputs.empty(), where(op), "there is no input ", in_quotes(inputs.empty() ? "" : inputs.begin()->first),
          "; it has ", joined(op.inputs, &TensorSpec::name));
  require_size(op, c.sizes);
  require_demands(op, c);
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
  require_size(op, wanted);
  require_demands(op, {.inputs = {}, .attributes = all, .sizes = wanted});
  Random random = stream(seed, op.name + "/" + kind_name);
  return checked(op, op.draw(kind_name, wanted, all, random), all);
}

Tensors run(const Op& op, const Case& c) {
  try {
    return op.run(c);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(in_words_of(op, error.what()));
  }
}

}  // namespace dsv3::oracle
