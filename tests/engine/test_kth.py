"""What `reached` says is reached by k numbers, and by few more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicinal._kth import reached


@given(st.lists(st.floats(allow_nan=False, width=32), max_size=2000), st.integers(1, 40))
def test_at_least_k_numbers_reach_it(numbers: list[float], k: int) -> None:
    values = np.array(numbers, dtype=np.float32)
    least = reached(values, k)
    if len(values) < k:
        assert least == -np.inf
    else:
        assert np.count_nonzero(values >= least) >= k
        assert least <= np.sort(values)[-k]


@pytest.mark.parametrize("count", [30, 500, 5_000, 70_000])
@pytest.mark.parametrize("k", [1, 10, 30])
def test_hardly_more_than_k_numbers_reach_it(count: int, k: int) -> None:
    values = np.random.default_rng(count).standard_normal(count)
    assert np.count_nonzero(values >= reached(values, k)) <= 2 * k + 3
