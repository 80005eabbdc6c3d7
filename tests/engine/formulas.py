"""The formulas that rankings are held to: as they are written, one text after the other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

K1, B = 1.2, 0.75


def bm25(texts: Mapping[Any, str], question: str) -> dict[Any, float]:
    """The scores of those texts that have a word of the question; words stand between blanks."""
    counts = {key: Counter(text.split()) for key, text in texts.items() if text.split()}
    scores: dict[Any, float] = {}
    for term in question.split():
        df = sum(term in having for having in counts.values())
        idf = math.log(1 + (len(counts) - df + 0.5) / (df + 0.5))
        average = sum(having.total() for having in counts.values()) / max(len(counts), 1)
        for key, having in counts.items():
            if having[term]:
                damping = K1 * (1 - B + B * having.total() / average)
                scores[key] = scores.get(key, 0.0) + idf * having[term] * (K1 + 1) / (having[term] + damping)
    return scores
