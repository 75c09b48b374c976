// SPDX-License-Identifier: MIT
#include "reference/linear/kept.hpp"

#include <utility>

namespace dsv3 {
namespace {

constexpr Quantisation e5m6_tiles{.format = FormatId::e5m6, .groups = tile_1x128, .scale = ScaleKind::ue8m0_ceil};

/// A call for each way of keeping.
template <class... F>
struct Either : F... {
  using F::operator()...;
};
template <class... F>
Either(F...) -> Either<F...>;

Matrix values_of(const Quantised& x) { return dequantise(x).cast<real>(); }
Matrix values_of(const PackedE5m6& x) {
  return dequantise(Quantised16{unpack_e5m6(x.words, x.cols), x.s, e5m6_tiles.groups, e5m6_tiles.format}).cast<real>();
}

template <class M>
std::size_t bytes_of_values(const M& m) {
  return static_cast<std::size_t>(m.size()) * sizeof(*m.data());
}

}  // namespace

Kept Kept::in_fp8(const Matrix& value, const Fp8Recipe& recipe) {
  return quantise(value.cast<float>(), {.format = recipe.forward, .scale = recipe.scale});
}

Kept Kept::in_e5m6(const Matrix& value) {
  const Quantised16 codes = quantise16(value.cast<float>(), e5m6_tiles);
  Kept kept;
  kept.kept_ = PackedE5m6{pack_e5m6(codes.q), codes.s, value.cols()};
  return kept;
}

Matrix Kept::value() const& {
  return std::visit(Either{[](const Matrix& m) { return m; }, [](const auto& codes) { return values_of(codes); }},
                    kept_);
}

Matrix Kept::value() && {
  if (auto* const m = std::get_if<Matrix>(&kept_)) return std::move(*m);
  return std::as_const(*this).value();
}

const Matrix& Kept::read(Matrix& space) const {
  if (const auto* const m = std::get_if<Matrix>(&kept_)) return *m;
  space = value();
  return space;
}

Shape Kept::shape() const {
  return std::visit(Either{[](const Matrix& m) { return shape_of(m); },
                           [](const Quantised& x) {
                             return Shape{x.q.rows(), x.q.cols()};
                           },
                           [](const PackedE5m6& x) {
                             return Shape{x.words.rows(), x.cols};
                           }},
                    kept_);
}

std::size_t Kept::bytes() const {
  return std::visit(Either{[](const Matrix& m) { return bytes_of_values(m); },
                           [](const Quantised& x) { return bytes_of_values(x.q) + bytes_of_values(x.s); },
                           [](const PackedE5m6& x) { return bytes_of_values(x.words) + bytes_of_values(x.s); }},
                    kept_);
}

}  // namespace dsv3
