// SPDX-License-Identifier: MIT
#include "reference/rope/rope.hpp"

#include <cmath>

#include "reference/core/require.hpp"
#include "reference/core/threads.hpp"

namespace dsv3 {
namespace {

/// The pairs of a head: pair i is channels step i and step i + gap.
struct Pairs {
  Index step, gap;
  Pairs(RopeLayout layout, Index width)
      : step(layout == RopeLayout::interleaved ? 2 : 1), gap(layout == RopeLayout::interleaved ? 1 : width / 2) {}
};

/// f(channel in `from`, channel in `to`) for each of `channels` channels of heads side by side.
template <class F>
void for_each_channel(Index channels, Index width, RopeLayout from, RopeLayout to, const F& f) {
  require(width >= 2 && width % 2 == 0 && channels % width == 0, "reorder", channels, " channels in heads of ", width,
          "; the width must be even and divide them");
  const Pairs a(from, width), b(to, width);
  for (Index head = 0; head < channels; head += width)
    for (Index i = 0; i < width / 2; ++i) {
      f(head + a.step * i, head + b.step * i);
      f(head + a.step * i + a.gap, head + b.step * i + b.gap);
    }
}

void require_positions(const RopeConfig& config, const Sequences& rows) {
  require(rows.begin.size() == rows.first_position.size() + 1 && rows.begin.front() == 0, "RopeTable", "the batch has ",
          rows.count(), " first positions and ", rows.begin.size(),
          " row limits; it needs one limit more than positions, the first of them 0");
  for (Index s = 0; s < rows.count(); ++s) {
    const Index first = rows.first_position[s], length = rows.length(s);
    require(length >= 0 && first >= 0 && first <= config.max_length - length, "RopeTable", "sequence ", s, " has ",
            length, " tokens from position ", first, "; positions must be 0 .. ", config.max_length - 1);
  }
}

}  // namespace

RopeTable::RopeTable(const RopeConfig& config, const Sequences& rows) : width_(config.width) {
  validate(config);
  require_positions(config, rows);
  cos_.resize(rows.rows(), width_ / 2);
  sin_.resize(rows.rows(), width_ / 2);
  if (config.angles == AngleDialect::released) fill<float>(released_frequencies(config), cos_sin_factor(config), rows);
  else fill<double>(rope_frequencies(config), cos_sin_factor(config), rows);
}

template <class T>
void RopeTable::fill(const std::vector<T>& f, double factor, const Sequences& rows) {
  const auto scaled = [factor](double x) { return static_cast<real>(static_cast<T>(x) * static_cast<T>(factor)); };
  parallel_for(rows.count(), [&](Index s) {
    for (Index t = 0; t < rows.length(s); ++t)
      for (Index i = 0; i < width_ / 2; ++i) {
        const T angle = static_cast<T>(rows.first_position[s] + t) * f[i];
        cos_(rows.begin[s] + t, i) = scaled(std::cos(static_cast<double>(angle)));
        sin_(rows.begin[s] + t, i) = scaled(std::sin(static_cast<double>(angle)));
      }
  });
}

void RopeTable::rotate(View x, RopeLayout layout) const { turn(x, layout, 1); }
void RopeTable::rotate_back(View dx, RopeLayout layout) const { turn(dx, layout, -1); }

void RopeTable::turn(View x, RopeLayout layout, real direction) const {
  require(x.rows() == cos_.rows() && x.cols() % width_ == 0, "RopeTable", "x is ", shape_text(x), "; it needs ",
          cos_.rows(), " rows and heads of ", width_, " columns");
  const Pairs pairs(layout, width_);
  parallel_rows(x.rows(), [&](Index begin, Index count) {
    for (Index t = begin; t < begin + count; ++t)
      for (Index head = 0; head < x.cols(); head += width_)
        for (Index i = 0; i < width_ / 2; ++i) {
          real& a = x(t, head + pairs.step * i);
          real& b = x(t, head + pairs.step * i + pairs.gap);
          const real cos = cos_(t, i), sin = direction * sin_(t, i), a_before = a;
          a = a_before * cos - b * sin;
          b = a_before * sin + b * cos;
        }
  });
}

Matrix reorder_channels(const Matrix& x, Index width, RopeLayout from, RopeLayout to) {
  Matrix y(x.rows(), x.cols());
  for_each_channel(x.cols(), width, from, to, [&](Index i, Index j) { y.col(j) = x.col(i); });
  return y;
}

Matrix reorder_rows(const Matrix& W, Index width, RopeLayout from, RopeLayout to) {
  Matrix y(W.rows(), W.cols());
  for_each_channel(W.rows(), width, from, to, [&](Index i, Index j) { y.row(j) = W.row(i); });
  return y;
}

}  // namespace dsv3
