// SPDX-License-Identifier: MIT
/// \file
/// What the twin's equations are written in: operators on variables of a tape.
///
/// Shapes must be equal, or one row, one column or one element is used for all. std::logic_error: a mistake of the
/// twin.
#pragma once
#include "reference/oracle/twin/tape.hpp"

namespace dsv3::oracle {

Var operator+(Var a, Var b);
Var operator-(Var a, Var b);
Var operator*(Var a, Var b);
Var operator/(Var a, Var b);
Var operator*(double a, Var b);
Var operator+(Var a, double b);

Var sqrt(Var x);
Var exp(Var x);
Var log(Var x);
Var sigmoid(Var x);
Var tanh(Var x);
Var cos(Var x);
Var sin(Var x);

Var product(Var a, Var b);                            ///< a b^T, as Linears are: [m, k], [n, k] -> [m, n]
Var transposed(Var a);                                ///< [n, m]
Var row_sums(Var a);                                  ///< [m, 1]
Var sum_of(const std::vector<Var>& terms);            ///< of equal shapes, in any order
Var column_sums(Var a);                               ///< [1, n]
Var columns(Var a, const std::vector<Index>& which);  ///< [m, which]; one may come several times
Var columns(Var a, Index begin, Index count);
Var rows(Var a, const std::vector<Index>& which);  ///< [which, n]
Var beside(const std::vector<Var>& parts);         ///< concatenated along the columns
Var below(const std::vector<Var>& parts);          ///< along the rows

/// y(i, j) = x(i, which[i][j]): other columns of each row.
Var picked(Var x, const std::vector<std::vector<Index>>& which);

/// x where keep(i, j), `otherwise` elsewhere.
Var where(const std::function<bool(Index, Index)>& keep, Var x, double otherwise);
/// The largest value of each row, as a constant: a shift that the result does not depend on.
Var row_maxima(Var x);
Var softmax_rows(Var x);
/// g x / sqrt(mean(x^2) + eps) of each row.
Var rms_normalised(Var x, Var g, double eps);
/// x rounded to a format in every reading, beyond its largest value to infinity: off by a step where x may lie on
/// either side of a tie, else by nothing. Gradients pass as if nothing were rounded.
Var in_format(Var x, FormatId format, Rounding rounding = Rounding::nearest_even);
/// x rounded to BF16, and so is its gradient: a tensor of a model in BF16.
Var in_bf16_both_ways(Var x);
/// Other values in x's place; gradients pass.
Var replaced(Var x, Estimate values);
/// x as a tensor that may be kept in BF16: a rounding more, where the tape's numbers are exact.
Var kept_in_bf16(Var x);

}  // namespace dsv3::oracle
