"""Searching by codes loses nothing: every row that can be among the k nearest is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vicinal._index import codes, kernel
from vicinal.testing import nearest

SPACES = ("l2", "cosine", "ip")


def coded(vectors: Any, space: Any, step: int = 1000) -> codes.Codes:
    made = codes.empty(space, vectors.shape[1], 0)
    for stop in range(step, len(vectors) + step, step):
        made = made.extend(vectors, min(stop, len(vectors)))
    return made


def kinds(rng: np.random.Generator, kind: str, shape: tuple[int, int]) -> Any:
    vectors = rng.standard_normal(shape)
    if kind == "spiked":  # rounding takes nearly everything but the spike away
        vectors = np.full(shape, 0.003) * rng.choice([-1, 1], shape)
        vectors[np.arange(shape[0]), rng.integers(shape[1], size=shape[0])] = 1.0
    elif kind == "whole":
        vectors = rng.integers(-3, 4, shape)
    elif kind == "far from the origin":
        vectors = vectors * 0.01 + 5
    elif kind == "of all lengths":
        vectors = vectors * 10.0 ** rng.uniform(-20, 18, (shape[0], 1))
    elif kind == "alike":
        vectors = np.repeat(vectors[:5], -(-shape[0] // 5), axis=0)[: shape[0]]
    elif kind == "zero":
        vectors[::2] = 0
    elif kind == "zero and of all lengths":
        vectors = vectors * 10.0 ** rng.uniform(-20, 18, (shape[0], 1))
        vectors[rng.random(shape[0]) < 0.5] = 0
    return vectors.astype(np.float32)


KINDS = (
    "ordinary",
    "spiked",
    "whole",
    "far from the origin",
    "of all lengths",
    "alike",
    "zero",
    "zero and of all lengths",
)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(0, 2**31), st.integers(1, 700), st.integers(1, 70), st.integers(1, 30))
@settings(max_examples=25, deadline=None)
def test_no_neighbour_is_ruled_out(
    space: Any, kind: str, seed: int, count: int, dimension: int, k: int
) -> None:
    rng = np.random.default_rng(seed)
    vectors = kinds(rng, kind, (count + 1, dimension))
    query, vectors = vectors[-1], vectors[:-1]
    made, mask = coded(vectors, space, step=97), rng.random(count) < 0.6
    rows = np.flatnonzero(mask)
    first, stop = sorted(rng.integers(0, count + 1, 2).tolist())
    part = rows[(rows >= first) & (rows < stop)]
    for found, of in (
        (made.candidates(query, k, range(count)), np.arange(count)),
        (made.candidates(query, k, range(count), mask), rows),
        (made.candidates(query, k, rows), rows),
        (made.candidates(query, k, range(first, stop)), np.arange(first, stop)),
        (made.candidates(query, k, range(first, stop), mask), part),
    ):
        _, distances = nearest(query, vectors[of], min(k, len(of)), space)
        assert set(found.tolist()) <= set(of.tolist())
        assert len(found) >= min(k, len(of))
        ruled_out = set(of.tolist()) - set(found.tolist())
        if len(distances) and ruled_out:
            _, others = nearest(query, vectors[sorted(ruled_out)], 1, space)
            slack = 1e-6 * max(1.0, abs(distances[-1]))  # the oracle computes in float64, the rest in float32
            assert others[0] >= distances[-1] - slack


@pytest.mark.parametrize("space", SPACES)
def test_a_vector_that_is_too_long_to_be_coded_rules_no_other_out(space: Any) -> None:
    vectors = -np.eye(8, dtype=np.float32) - 1
    vectors[0] *= np.float32(1e20)  # as far away as can be, and nothing is known of it
    query = np.ones(8, dtype=np.float32)
    [best] = nearest(query, vectors[1:], 1, space)[0]
    made = coded(vectors, space)
    assert {0, 1 + best} <= set(made.candidates(query, 1, range(8)).tolist())
    assert {0, 1 + best} <= set(made.candidates(query, 1, np.arange(8)).tolist())


def test_few_rows_are_left_of_many() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((20_000, 256)).astype(np.float32)
    made = coded(vectors, "cosine", step=1024)
    left = [len(made.candidates(query, 10, range(20_000))) for query in vectors[:20]]
    assert np.median(left) < 400


def test_a_longer_version_leaves_the_shorter_one_as_it_was() -> None:
    vectors = np.random.default_rng(1).standard_normal((300, 8)).astype(np.float32)
    short = coded(vectors[:100], "l2")
    before = short.candidates(vectors[0], 5, range(100)).tolist()
    long = short.extend(vectors, 300)
    assert (short.rows, long.rows) == (100, 300)
    assert short.candidates(vectors[0], 5, range(100)).tolist() == before
    assert long.first(100).candidates(vectors[0], 5, range(300)).tolist() == before


def test_rows_that_hold_anything_are_no_obstacle() -> None:
    vectors = np.random.default_rng(2).standard_normal((200, 8)).astype(np.float32)
    vectors[50:60] = np.nan
    vectors[60:70] = np.inf
    mask = np.ones(200, dtype=np.bool_)
    mask[50:70] = False
    found = coded(vectors, "cosine").candidates(vectors[0], 5, range(200), mask)
    assert mask[found].all()
    assert 0 in found


@given(st.integers(0, 2**31), st.integers(0, 1200), st.integers(1, 300))
@settings(max_examples=50, deadline=None)
def test_both_kernels_give_the_integer(seed: int, count: int, dimension: int) -> None:
    pytest.importorskip("simsimd")
    rng = np.random.default_rng(seed)
    query, many = (rng.integers(-127, 128, shape, dtype=np.int8) for shape in (dimension, (count, dimension)))
    exact = (many.astype(np.int64) @ query.astype(np.int64)).astype(np.float32)
    np.testing.assert_array_equal(kernel.dots_simsimd(query, many), exact)
    np.testing.assert_array_equal(kernel.dots_numpy(query, many), exact)


@pytest.mark.parametrize("dimension", [133_144, 133_145, 140_000, 400_000])
def test_no_product_overflows_however_many_components_there_are(dimension: int) -> None:
    largest = np.full((3, dimension), 127, dtype=np.int8)
    largest[1] *= -1
    exact = np.float32(127**2 * dimension)
    np.testing.assert_array_equal(kernel.dots(largest[0], largest), [exact, -exact, exact])


@pytest.mark.parametrize("dimension", [384, 3072, 8192])
@pytest.mark.parametrize("space", SPACES)
def test_lengths_are_exact_however_many_components_there_are(space: Any, dimension: int) -> None:
    """Thousands of nearly equal squares: float32 adds them up wrongly by more than the bound allows."""
    values = np.linspace(0.5, 1, 300, dtype=np.float32)
    vectors = np.repeat(values[:, np.newaxis], dimension, axis=1)
    vectors[1:, : dimension // 100] *= np.float32(126 / 127)
    made = coded(vectors, space)
    exact = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    assert np.abs(made.lengths[:300] / exact - 1).max() < 1e-7
    query = vectors[0]
    found = made.candidates(query, 1, range(len(vectors)))
    assert set(nearest(query, vectors, 1, space)[0]) <= set(found.tolist())
