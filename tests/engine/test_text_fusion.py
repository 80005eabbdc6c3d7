"""Fusion orders rows by what each ranking gives them, and says what that was."""

from __future__ import annotations

import numpy as np
import pytest

from vicinal._rank import fusion


def part(**scores):
    return np.array([int(name[1:]) for name in scores]), np.array(list(scores.values()), dtype=float)


DENSE, TEXT = part(r4=0.9, r2=0.5, r7=0.1), part(r2=8.0, r9=4.0)


def test_reciprocal_ranks():
    fused = fusion.reciprocal([DENSE, TEXT])
    assert fused.rows.tolist() == [2, 4, 9, 7]
    assert fused.scores[0] == pytest.approx(1 / 62 + 1 / 61)
    assert fused.contributions[1].tolist() == [pytest.approx(1 / 61), 0.0]


def test_weights_and_k():
    fused = fusion.reciprocal([DENSE, TEXT], weights=(0, 2), k=0)
    assert fused.rows.tolist() == [2, 9, 4, 7]
    assert fused.scores.tolist() == [2.0, 1.0, 0.0, 0.0]


def test_relative_scores():
    fused = fusion.relative([DENSE, TEXT], (0.5, 0.5))
    assert dict(zip(fused.rows.tolist(), fused.scores.round(6).tolist())) == {2: 0.75, 4: 0.5, 7: 0.0, 9: 0.0}


def test_theoretical_minima():
    fused = fusion.theoretical([DENSE, TEXT], (-1, 0), (0.5, 0.5))
    expected = {2: 0.5 * 1.5 / 1.9 + 0.5, 4: 0.5, 7: 0.5 * 1.1 / 1.9, 9: 0.25}
    assert dict(zip(fused.rows.tolist(), fused.scores.tolist())) == pytest.approx(expected)
    assert fused.contributions.sum(axis=1) == pytest.approx(fused.scores)


def test_completed_parts_know_every_row():
    parts = fusion.completed([DENSE, TEXT], [lambda rows: rows / 100.0, lambda rows: np.zeros(len(rows))])
    assert parts[0][0].tolist() == [4, 2, 7, 9]
    assert parts[1][0].tolist() == [2, 9, 4, 7]


def test_equal_totals_stand_in_order_of_rows():
    assert fusion.reciprocal([part(r5=1), part(r3=1)]).rows.tolist() == [3, 5]
    assert fusion.relative([part(r5=1, r3=1)]).scores.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("fuse", [fusion.reciprocal, fusion.relative])
def test_nothing_fused_is_nothing(fuse):
    assert fuse([]).rows.tolist() == []
    assert fuse([part(), part()]).first(3).rows.tolist() == []
