"""Which parts of this document answer the question?

A window over the document's words is rated by the terms of the question in it, 1 for each and a tenth for
every repetition; the best windows that do not overlap are the snippets. Words are
matched as the search matches them, so a stemmed word is highlighted whole.
"""

from __future__ import annotations

from collections.abc import Iterable

from vicinal._text.analysis import Analyser
from vicinal.types import Snippet

_REPEATED = 0.1


def snippets(
    analyser: Analyser,
    document: str,
    terms: Iterable[str],
    count: int = 3,
    chars: int = 160,
) -> list[Snippet]:
    """The best fragments of a document, best first; none when no term occurs.

    Args:
        analyser: The one that made the terms.
        terms: Those of the question.
        count: At most so many fragments.
        chars: About how long a fragment is; it begins and ends at words.
    """
    asked = frozenset(terms)
    bounds: list[tuple[int, int]] = []
    hits: list[tuple[int, int, frozenset[str]]] = []
    for start, end, found in analyser.spans(document):
        bounds.append((start, end))
        if not asked.isdisjoint(found):
            hits.append((start, end, asked.intersection(found)))
    made: list[Snippet] = []
    for _, first, last in sorted(_windows(hits, chars)):
        inside = hits[first : last + 1]
        if len(made) == count:
            break
        if any(one.start < inside[-1][1] and inside[0][0] < one.end for one in made):
            continue
        start, end = _around(bounds, inside[0][0], inside[-1][1], chars, made)
        marks = tuple((a, b) for a, b, _ in hits if a >= start and b <= end)
        made.append(Snippet(start, end, document[start:end], marks, _rating(inside)))
    return made


def _windows(hits: list[tuple[int, int, frozenset[str]]], chars: int) -> list[tuple[float, int, int]]:
    """For each hit the window that it begins: (−rating, first hit, last hit)."""
    windows = []
    last = 0
    for first, (start, _, _) in enumerate(hits):
        last = max(last, first)
        while last + 1 < len(hits) and hits[last + 1][1] - start <= chars:
            last += 1
        windows.append((-_rating(hits[first : last + 1]), first, last))
    return windows


def _rating(inside: list[tuple[int, int, frozenset[str]]]) -> float:
    found = [term for _, _, terms in inside for term in terms]
    distinct = len(set(found))
    return distinct + _REPEATED * (len(found) - distinct)


def _around(
    bounds: list[tuple[int, int]], first: int, last: int, chars: int, taken: list[Snippet]
) -> tuple[int, int]:
    """Widen [first, last) to about `chars`, at words, evenly, without entering what is taken."""
    spare = max(chars - (last - first), 0) // 2
    low = max([0, *(one.end for one in taken if one.end <= first)])
    high = min([bounds[-1][1], *(one.start for one in taken if one.start >= last)])
    start = min((a for a, _ in bounds if a >= max(first - spare, low) and a <= first), default=first)
    end = max((b for _, b in bounds if b <= min(last + spare, high) and b >= last), default=last)
    return start, end
