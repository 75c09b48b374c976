# SPDX-License-Identifier: MIT
"""How to test a kernel of yours with pytest: here an FP8 product in NumPy."""
import dsv3
import numpy as np
import pytest
from dsv3.testing import assert_matches


def my_fprop(x_q, x_s, W_q, W_s):
    """y = x W^T from codes with scales of tiles 1x128 and blocks 128x128."""
    (T, K), (N, _) = x_q.shape, W_q.shape
    x = x_q.astype(np.float32) * np.repeat(x_s, 128, axis=1)[:, :K]
    W = W_q.astype(np.float32) * np.repeat(np.repeat(W_s, 128, axis=0)[:N], 128, axis=1)[:, :K]
    return x @ W.T


@pytest.mark.parametrize("kind", [kind["name"] for kind in dsv3.describe("fp8_fprop")["kinds"]])
def test_my_fprop(kind):
    case = dsv3.gen("fp8_fprop", kind)
    assert_matches("fp8_fprop", case, my_fprop(**case))
