// SPDX-License-Identifier: MIT
#include "reference/oracle/twin/twin.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "reference/oracle/draw.hpp"

namespace dsv3::oracle {
namespace {

/// Standard deviations that the root mean square over a tensor may reach.
constexpr double deviations = 4;

Estimate exactly(const Tensor& t) {
  const Doubles numbers = values(t);
  const Shape shape = rows_and_cols(t.shape);
  Estimate e(shape.rows, shape.cols);
  for (std::size_t i = 0; i < numbers.size(); ++i) e.at[i].value = numbers[i];
  return e;
}

/// A tensor that may have been rounded when it was written: off by half a step of its type.
Estimate as_written(const Tensor& t) {
  Estimate e = exactly(t);
  if (t.dtype == Dtype::bf16 || t.dtype == Dtype::f16)
    for (Approx& a : e.at) a = widened(a, step(t.dtype, a.value) / 2);
  return e;
}

bool is_float(const TensorSpec& spec) { return is_plain_float(spec.dtypes.front()); }

/// The twin's values, rounded once.
Tensor rounded_values(const Estimate& e, const TensorSpec& spec, const Sizes& sizes) {
  FloatMatrix m(e.rows, e.cols);
  for (std::size_t i = 0; i < e.at.size(); ++i) m.data()[i] = static_cast<float>(e.at[i].value);
  return rounded(spec.dtypes.front(), m, shape_of(spec.shape, sizes));
}

Limit limit_of(const Estimate& e) {
  // What is beyond double's range bounds nothing.
  const auto known = [](double x) { return std::isnan(x) ? std::numeric_limits<double>::infinity() : x; };
  Limit limit;
  for (const Approx& a : e.at) {
    limit.center.push_back(a.value);
    limit.bound.push_back(known(other_forms * a.bound));
    limit.spread.push_back(known(deviations * std::sqrt(a.variance)));
  }
  return limit;
}

using TwinCall = std::function<void(Twin&)>;

/// The twin run forward, and then backward from every output that the case has a gradient of.
TwinCall with_gradients(const TwinOp& t) {
  return [t](Twin& twin) {
    t.twin(twin);
    std::vector<std::pair<Var, Estimate>> seeds;
    for (const auto& [name, y] : twin.outputs)
      if (twin.call.inputs.contains("d" + name)) seeds.emplace_back(y, exactly(twin.call.in("d" + name)));
    std::vector<std::pair<Var, Tape::Passing>> passing;
    for (const std::string& name : t.passed)
      passing.emplace_back(twin.outputs.at(name), [&twin, name](const Estimate& gradient) {
        return twin.out("d" + name, twin.tape.input(gradient)).value();
      });
    twin.tape.backward(seeds, passing);
    for (const std::string& name : t.gradients)
      twin.out("d" + name, twin.tape.input(twin.tape.gradient(twin.in(name))));
  };
}

void put_twin(Op& op, const TwinCall& call, const std::function<std::optional<Tensors>(const Case&)>& reference) {
  const auto numbers = [call, outputs = op.outputs](const Case& c, const Arithmetic& arithmetic) {
    const Tensors none;
    Twin twin(c, none, arithmetic);
    twin.writes = true;
    call(twin);
    Tensors result;
    for (const TensorSpec& spec : outputs)
      if (const auto y = twin.outputs.find(spec.name); y != twin.outputs.end())
        result[spec.name] = rounded_values(y->second.value(), spec, c.sizes);
      else if (const auto whole = twin.whole_outputs.find(spec.name); whole != twin.whole_outputs.end())
        result[spec.name] = tensor(whole->second.own, shape_of(spec.shape, c.sizes));
    return result;
  };
  op.imitate = [numbers, reference](const Case& c, const Arithmetic& arithmetic) {
    Tensors result = numbers(c, arithmetic);
    result.merge(reference(c).value_or(Tensors()));  // what the twin does not state
    return result;
  };
  op.run = [numbers, reference, outputs = op.outputs](const Case& c) {
    Tensors result = reference(c).value_or(Tensors());
    const auto there = [&](const TensorSpec& spec) { return spec.optional || result.contains(spec.name); };
    if (result.empty() || !std::ranges::all_of(outputs, there)) result.merge(numbers(c, {}));
    return result;
  };
  op.limits = [call](const Case& c, const Tensors& ours, const Tensors& theirs) {
    Twin twin(c, theirs);
    call(twin);
    Limits limits = all_bits(ours);
    for (const auto& [name, y] : twin.outputs)
      if (ours.contains(name)) limits[name] = limit_of(y.value());
    for (const auto& [name, whole] : twin.whole_outputs)
      if (ours.contains(name))
        limits[name] = {.bound = Doubles(whole.needed.size(), 0), .center = {whole.needed.begin(), whole.needed.end()}};
    for (const auto& [name, lines] : twin.remarks)
      if (ours.contains(name)) limits[name].remarks = lines;
    return limits;
  };
}

Op backward_of(const TwinOp& t) {
  Op op = t.op;
  op.name += "_backward";
  op.what = "the gradients of " + t.op.name + ": " + t.op.what;
  op.contract = t.backward_contract;
  op.outputs.clear();
  std::vector<TensorSpec> seeds;
  for (const TensorSpec& spec : t.op.outputs)
    if (is_float(spec) && !spec.optional)
      seeds.push_back({"d" + spec.name, {Dtype::f32}, spec.shape, "the gradient of " + spec.name});
  op.inputs.insert(op.inputs.end(), seeds.begin(), seeds.end());
  if (!t.passed.empty())
    for (TensorSpec spec : t.op.outputs) spec.optional = true, op.outputs.push_back(spec);
  for (auto name = t.passed.rbegin(); name != t.passed.rend(); ++name) {
    const auto spec = std::ranges::find(t.op.outputs, *name, &TensorSpec::name);
    op.outputs.push_back({"d" + *name, {Dtype::f32}, spec->shape, "the gradient of " + *name, true});
  }
  for (const TensorSpec& spec : t.op.inputs)
    if (std::ranges::find(t.gradients, spec.name) != t.gradients.end())
      op.outputs.push_back({"d" + spec.name, {Dtype::f32}, spec.shape, "the gradient of " + spec.name});
  op.draw = [draw = t.op.draw, seeds](const std::string& kind, const Sizes& sizes, const Attributes& attributes,
                                      Random& random) {
    Tensors inputs = draw(kind, sizes, attributes, random);
    for (const TensorSpec& spec : seeds) inputs[spec.name] = normals(shape_of(spec.shape, sizes), random);
    return inputs;
  };
  put_twin(op, with_gradients(t), t.backward);
  return op;
}

}  // namespace

Var Twin::in(const std::string& name) {
  const auto known = inputs.find(name);
  if (known != inputs.end()) return known->second;
  return inputs[name] = tape.input(exactly(call.in(name)));
}

Var Twin::out(const std::string& name, Var y) {
  outputs[name] = y;
  if (writes) {
    Estimate written = y.value();
    for (Approx& a : written.at) a.value = static_cast<float>(a.value);
    return replaced(y, std::move(written));
  }
  const auto given = theirs_.find(name);
  if (given == theirs_.end() || !is_plain_float(given->second.dtype)) return y;
  const Estimate e = as_written(given->second);
  return e.rows == y.rows() && e.cols == y.cols() ? replaced(y, e) : y;
}

void Twin::out(const std::string& name, const std::vector<std::int64_t>& own, const std::vector<std::int64_t>& needed) {
  whole_outputs[name] = {own, needed};
}

std::optional<std::vector<std::int64_t>> Twin::theirs(const std::string& name, Index elements) const {
  const auto given = theirs_.find(name);
  if (given == theirs_.end() || !is_whole(given->second.dtype) || given->second.size() != elements) return {};
  return integers(given->second);
}

Tensor Twin::theirs_or(const std::string& name, const Tensor& ours) const {
  const auto given = theirs_.find(name);
  const bool fits = given != theirs_.end() && given->second.dtype == ours.dtype && given->second.shape == ours.shape;
  return fits ? given->second : ours;
}

std::vector<Op> ops_of(const TwinOp& t) {
  Op forward = t.op;
  put_twin(forward, t.twin, t.forward);
  if (t.gradients.empty()) return {forward};
  return {forward, backward_of(t)};
}

}  // namespace dsv3::oracle
