// SPDX-License-Identifier: MIT
/// \file
/// softmax(q k^T) v of one head in one sequence, Eq. (10), and its gradients.
#pragma once
#include "reference/core/matrix.hpp"

namespace dsv3 {

/// o_t = sum over j <= t of softmax_j(scale q_t k_j) v_j.
///
/// \param o     [n, d_v], written
/// \param lse   [n, 1], written: log sum_j exp(scale q_t k_j), all that the backward needs of the softmax
/// \param q     [n, w]: the queries of the last n of m tokens, so row i sees the keys 0 .. m - n + i
/// \param k     [m, w]
/// \param v     [m, d_v]
///
/// Numerics contract: `real` throughout; s = q k^T, e_j = exp(scale (s_j - max s)), p_j = e_j / sum e, o = p v. The
/// score of a later token is never read: its p is 0. At most 64 rows of scores exist at a time.
/// Differs from the report: nothing; the released code rounds p to the type of v before the second product.
void attend(View o, View lse, const ConstView& q, const ConstView& k, const ConstView& v, real scale);

/// From d_o to the gradients of q, k and v (all three written, shapes as above). The probabilities are made again from
/// the scores and lse: p_j = exp(scale s_j - lse).
void attend_backward(View dq, View dk, View dv, const ConstView& q, const ConstView& k, const ConstView& v,
                     const ConstView& o, const ConstView& lse, const ConstView& d_o, real scale);

}  // namespace dsv3
