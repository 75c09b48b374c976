// SPDX-License-Identifier: MIT
#include "reference/oracle/verdict.hpp"

#include <algorithm>
#include <cmath>

#include "reference/checkpoint/safetensors.hpp"
#include "reference/checkpoint/strict_json.hpp"
#include "reference/core/require.hpp"
#include "reference/oracle/places.hpp"
#include "reference/oracle/twin/tape.hpp"

namespace dsv3::oracle {
namespace {

bool same_bits(double a, double b) {
  return std::isnan(a) ? std::isnan(b) : a == b && std::signbit(a) == std::signbit(b);
}

/// One output compared element by element.
class Comparison {
 public:
  Comparison(const Tensor& ours, const Tensor& theirs, const Limit& limit)
      : a_(values(ours)),
        b_(values(theirs)),
        center_(limit.center.empty() ? a_ : limit.center),
        limit_(limit),
        type_(theirs.dtype),
        ours_type_(ours.dtype),
        whole_(is_whole(ours.dtype)) {}

  /// How much the element uses of what it may; above 1: outside.
  double share(std::size_t i) const {
    if (whole_) return b_[i] == center_[i] ? 0 : INFINITY;
    if (same_bits(a_[i], b_[i])) return 0;
    if (limit_.bound.empty()) return INFINITY;
    const double difference = std::abs(center_[i] - b_[i]);
    if (!std::isfinite(center_[i]) || !std::isfinite(b_[i])) return same_bits(center_[i], b_[i]) ? 0 : INFINITY;
    if (difference == 0) return 0;
    const double allowed = bound(i);
    return allowed > 0 ? difference / allowed : INFINITY;
  }
  /// Of values rounded to a type of fewer digits than ours.
  double bound(std::size_t i) const {
    if (limit_.bound.empty()) return 0;
    const double far = std::abs(center_[i]) + limit_.bound[i];
    return limit_.bound[i] + (type_ == ours_type_ || !std::isfinite(far) ? 0 : step(type_, far) / 2);
  }
  /// Over few elements chance has more of a say.
  double rms() const {
    if (limit_.spread.empty() || a_.empty()) return 0;
    const double count = static_cast<double>(a_.size()), chance = 1 + 1 / std::sqrt(count);
    double sum = 0;
    for (std::size_t i = 0; i < a_.size(); ++i) {
      // Rounded values are uniform over a step; half as much again is still half of what cutting them off gives.
      const double rounding = type_ == ours_type_ ? 0 : 1.5 * step(type_, center_[i]) / std::sqrt(12.0);
      const double spread = std::hypot(limit_.spread[i], rounding);
      const double difference = same_bits(a_[i], b_[i]) ? 0 : center_[i] - b_[i];
      if (difference != 0 && std::isfinite(difference)) sum += difference * difference / (spread * spread);
    }
    return std::sqrt(sum / count) / chance;
  }
  double distance() const {
    double sum = 0;
    for (std::size_t i = 0; i < a_.size(); ++i)
      if (const double apart = center_[i] - b_[i]; std::isfinite(apart)) sum += apart * apart;
    return a_.empty() ? 0 : std::sqrt(sum / static_cast<double>(a_.size()));
  }
  void judge(TensorVerdict& v) const {
    std::size_t at = 0;
    bool found = false;
    for (std::size_t i = 0; i < a_.size(); ++i) {
      const double s = share(i);
      v.different += !same_bits(a_[i], b_[i]);
      if (s > 1 && v.outside++ == 0) at = i, found = true;
      if (!found && s > v.share) at = i;
      v.share = std::max(v.share, s);
    }
    if (v.different > 0) describe(v, at);
    v.rms = rms();
    v.distance = distance();
    if (const auto n = std::ranges::count(limit_.bound, INFINITY); n > 0)
      v.remarks.push_back(concat(n, " elements are not judged: nothing bounds what rounding does to them"));
  }
  bool is_outside(std::size_t i) const { return share(i) > 1; }

 private:
  void describe(TensorVerdict& v, std::size_t i) const {
    v.ours = center_[i], v.theirs = b_[i], v.bound = bound(i);
    v.ulps = std::abs(center_[i] - b_[i]) / step(type_, center_[i]);
    v.index = {static_cast<Index>(i)};
  }

  Doubles a_, b_, center_;
  const Limit& limit_;
  Dtype type_, ours_type_;
  bool whole_;  ///< numbers that are the needed ones or not
};

/// Why nothing can be compared, or nothing.
std::string incomparable(const Tensor& ours, const Tensor& theirs, const Limit& limit) {
  if (theirs.shape != ours.shape)
    return concat("has the shape ", shape_text(theirs.shape), "; it must be ", shape_text(ours.shape));
  const bool indices = ours.dtype == Dtype::i64 && theirs.dtype == Dtype::i32;
  const bool type_fits = theirs.dtype == ours.dtype || indices ||
                         (!limit.bound.empty() && !is_whole(ours.dtype) && is_plain_float(theirs.dtype));
  if (!type_fits)
    return concat("is ", name(theirs.dtype), "; it must be ", name(ours.dtype),
                  ours.dtype == Dtype::i64 ? " or I32" : "");
  return {};
}

TensorVerdict judged(const std::string& name, const Tensor& ours, const Tensor& theirs, const Limit& limit) {
  TensorVerdict v{
      .name = name, .why = incomparable(ours, theirs, limit), .remarks = limit.remarks, .elements = ours.size()};
  if (!v.why.empty()) return v;
  const Comparison comparison(ours, theirs, limit);
  comparison.judge(v);
  if (!v.index.empty()) v.index = index_of(v.index[0], ours.shape);
  v.agreement = v.outside > 0 || !(v.rms <= 1) ? Agreement::outside
                : v.different > 0              ? Agreement::within
                : v.elements > 0               ? Agreement::bits
                                               : Agreement::nothing;
  if (v.outside > 0)
    v.places = places_of(ours.shape, [&](Index i) { return comparison.is_outside(static_cast<std::size_t>(i)); });
  else if (v.agreement == Agreement::outside)
    v.why = concat("each element is within its bound, but together they are ", v.rms,
                   " times as far off as a sound implementation is");
  return v;
}

}  // namespace

Verdict judge(const Op& op, const Tensors& ours, const Limits& limits, const Tensors& theirs) {
  for (const auto& [name, tensor] : theirs)
    require(ours.contains(name), "oracle " + op.name, "there is no output ", in_quotes(name));
  Verdict verdict;
  for (const TensorSpec& spec : op.outputs) {
    const auto found = theirs.find(spec.name);
    if (found == theirs.end() && spec.optional) continue;
    verdict.tensors.push_back(found == theirs.end()
                                  ? TensorVerdict{.name = spec.name, .why = "is missing"}
                                  : judged(spec.name, ours.at(spec.name), found->second, limits.at(spec.name)));
    verdict.agreement = std::max(verdict.agreement, verdict.tensors.back().agreement);
  }
  return verdict;
}

Verdict judge(const Op& op, const Case& c, const Tensors& ours, const Tensors& theirs) {
  const auto only_theirs = [&](const auto& t) { return !ours.contains(t.first); };
  if (!op.imitate || std::ranges::none_of(theirs, only_theirs))
    return judge(op, ours, op.limits(c, ours, theirs), theirs);
  Tensors all = ours;  // with the intermediate values that the reference does not show
  all.merge(op.imitate(c, {}));
  return judge(op, all, op.limits(c, all, theirs), theirs);
}

Verdict judge(const Op& op, const Case& c, const Tensors& theirs) { return judge(op, c, run(op, c), theirs); }

}  // namespace dsv3::oracle
