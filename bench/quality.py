"""Which way of searching finds the right records?

Two sets of questions. Cranfield, where it lies beside the checkout: 225 questions with graded judgements. And
the documentation of this Python, which labels itself: a question is a docstring's first sentence without the
names in it, its answer the record of the same definition, from which that sentence was taken out.

`python -m bench.quality` writes docs/quality.json and, from it, docs/quality.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from demo.corpus import passages

from vicinal._rank import fusion, mmr
from vicinal._text import bm25
from vicinal._text.analysis import Analyser, Analysis

Vectors = np.ndarray
Part = fusion.Part

CRANFIELD = Path(__file__).resolve().parents[2] / "shared" / "data" / "cranfield"
DEPTH = 100
ALPHAS = (0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9)
_GAINS = {-1: 4, 1: 4, 2: 3, 3: 2, 4: 1}
_QUESTIONS = 500
_REST_CHARS_MIN = 200


@dataclass(frozen=True)
class Set:
    """Documents, questions, and for each question the gain of each document that answers it."""

    name: str
    documents: list[str]
    questions: list[str]
    gains: list[dict[int, float]]
    vectors: dict[str, tuple[Vectors, Vectors]]
    """By model, unit vectors of the documents and of the questions."""


# --- the questions ----------------------------------------------------------------------------------------


def cranfield(folder: Path) -> Set:
    """1,400 abstracts, title and text; pairs that nobody judged count as wrong."""
    documents = [
        json.loads(line) for line in (folder / "documents.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    questions = [
        json.loads(line)["text"]
        for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    places = {document["id"]: place for place, document in enumerate(documents)}
    gains: list[dict[int, float]] = [{} for _ in questions]
    for line in (folder / "judgements.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        question, document, code = line.split("\t")
        gains[int(question) - 1][places[document]] = _GAINS[int(code)]
    texts = [f"{document['title']} {document['text']}" for document in documents]
    vectors = {"wordllama": (_wordllama(texts), _wordllama(questions))}
    stored = np.load(folder / "minilm.npz")
    vectors["MiniLM"] = tuple(_unit(stored[name].astype(np.float32)) for name in ("documents", "queries"))
    return Set("Cranfield", texts, questions, gains, vectors)


def standard_library(*, answers_keep_sentence: bool) -> Set:
    """One record for each documented definition and chapter of this Python."""
    texts: dict[str, str] = {}
    fitting: list[tuple[str, str, str]] = []
    for passage in passages():
        if passage.id in texts:
            continue
        texts[passage.id] = f"{passage.heading}\n\n{passage.body}"
        sentence, rest = _first_sentence(passage.body)
        question = _without_names(sentence, str(passage.metadata.get("qualname", "")))
        is_definition = passage.metadata.get("kind") in ("function", "method", "class")
        if is_definition and len(question.split()) >= 4 and len(rest) >= _REST_CHARS_MIN:
            fitting.append((passage.id, question, f"{passage.heading}\n\n{rest}"))
    chosen = [fitting[int(i)] for i in np.linspace(0, len(fitting) - 1, _QUESTIONS)]
    if not answers_keep_sentence:
        texts.update({name: rest for name, _, rest in chosen})
    places = {name: place for place, name in enumerate(texts)}
    documents, questions = list(texts.values()), [question for _, question, _ in chosen]
    gains = [{places[name]: 1.0} for name, _, _ in chosen]
    vectors = {"wordllama": (_wordllama(documents), _wordllama(questions))}
    name = "Python documentation" + (", sentence kept" if answers_keep_sentence else "")
    return Set(name, documents, questions, gains, vectors)


def _first_sentence(text: str) -> tuple[str, str]:
    found = re.search(r"(?<=[^.][.!?])\s+|\n\s*\n", text)
    if not found:
        return text, ""
    return " ".join(text[: found.start()].split()), text[found.end() :].strip()


def _without_names(sentence: str, qualname: str) -> str:
    """The sentence without what is written as code and without the words of the definition's name."""
    names = {part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", qualname)}
    words = [
        word for word in sentence.split() if re.fullmatch(r"[\"'(]*[A-Za-z]?[a-z'-]*[\"').,:;!?]*", word)
    ]
    return " ".join(word for word in words if word.lower().strip("\"'().,:;!?") not in names)


def _wordllama(texts: Sequence[str]) -> Vectors:
    from vicinal.embedding import DefaultEmbeddingFunction

    return _unit(np.array(DefaultEmbeddingFunction()(list(texts)), dtype=np.float32))


def _unit(vectors: Vectors) -> Vectors:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


# --- the searches -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Known:
    """What there is to know of every row that either part has found."""

    rows: fusion.Rows
    cosines: fusion.Scores
    scores: fusion.Scores
    completeness: fusion.Scores


class Searches:
    """One model's vectors and one analysis of the words, over one set."""

    def __init__(self, questions: Set, model: str, analysis: Analysis) -> None:
        self.set, self.model = questions, model
        self.documents, asked = questions.vectors[model]
        self.cosines = (asked @ self.documents.T).astype(np.float64)
        analyser = Analyser(analysis)
        numbered = enumerate(questions.documents)
        index = bm25.extend(bm25.empty(), analyser, len(questions.documents), numbered)
        stats = bm25.statistics(index, np.ones(index.rows, dtype=np.bool_))
        terms = [analyser.tokens(asked) for asked in questions.questions]
        self.dense = [_first(scores) for scores in self.cosines]
        self.text = [bm25.search(index, one, DEPTH, stats) for one in terms]
        self.parts = list(zip(self.dense, self.text))
        self.known = [
            _Known(rows, cosines[rows], *bm25.judged(index, one, rows, stats))
            for rows, cosines, one in zip(map(_union, self.parts), self.cosines, terms)
        ]

    def reciprocal(self) -> list[Part]:
        return [_part(fusion.reciprocal(parts)) for parts in self.parts]

    def complementary(self, alpha: float) -> list[Part]:
        return [
            _part(fusion.complementary(one.rows, 1 - one.cosines, one.scores, one.completeness, alpha))
            for one in self.known
        ]

    def without_completeness(self) -> list[Part]:
        """Half nearness and half height."""
        return [
            _part(fusion.complementary(one.rows, 1 - one.cosines, one.scores, None, 0.5))
            for one in self.known
        ]

    def without_vectors(self) -> list[Part]:
        """Half height and half completeness: the words of the mixture, alone."""
        return [
            _first(one.scores / max(one.scores.max(), 1e-12) + one.completeness, one.rows)
            for one in self.known
        ]

    def minmax(self, alpha: float) -> list[Part]:
        """Each list's scores from its lowest to its highest as 0 to 1; what a list lacks counts as 0."""
        found = []
        for one, parts in zip(self.known, self.parts):
            totals = np.zeros(len(one.rows))
            for (rows, scores), weight in zip(parts, (alpha, 1 - alpha)):
                span = np.ptp(scores) if len(scores) else 0.0
                gains = (scores - scores.min()) / span if span else np.ones(len(scores))
                totals[np.searchsorted(one.rows, rows)] += weight * gains
            found.append(_first(totals, one.rows))
        return found

    def theoretical(self, alpha: float) -> list[Part]:
        """From the lowest possible score to the list's highest."""
        return [
            _first(
                alpha * (one.cosines + 1) / (one.cosines.max() + 1)
                + (1 - alpha) * one.scores / max(one.scores.max(), 1e-12),
                one.rows,
            )
            for one in self.known
        ]

    def diversified(self, found: list[Part], lambda_mult: float) -> list[Part]:
        """Maximal marginal relevance among the best 50; relevance is the fused score, brought to [0, 1]."""
        parts = []
        for rows, scores in ((rows[:50], scores[:50]) for rows, scores in found):
            span = float(np.ptp(scores)) or 1.0
            distances = 1 - (scores - scores.min()) / span
            picked = mmr.select("cosine", distances, self.documents[rows], 10, lambda_mult)
            parts.append((rows[picked], scores[picked]))
        return parts


def bm25s(questions: Set, analysis: Analysis) -> list[Part]:
    """The same tokens in another's BM25."""
    import bm25s as other

    analyser = Analyser(analysis)
    index = other.BM25(k1=bm25.K1, b=bm25.B, method="lucene")
    index.index([analyser.tokens(document) for document in questions.documents], show_progress=False)
    found = (index.get_scores(analyser.tokens(asked)).astype(np.float64) for asked in questions.questions)
    return [_first(scores) for scores in found]


def _first(scores: Vectors, rows: Vectors | None = None) -> Part:
    """The best of these rows, or of all."""
    at = np.lexsort((np.arange(len(scores)), -scores))[:DEPTH]
    return at if rows is None else rows[at], scores[at]


def _union(parts: tuple[Part, Part]) -> fusion.Rows:
    return np.union1d(parts[0][0], parts[1][0])


def _part(fused: fusion.Fused) -> Part:
    return fused.rows, fused.scores


# --- the measures -----------------------------------------------------------------------------------------


def measure(questions: Set, found: list[Part]) -> dict[str, float]:
    """nDCG@10 with linear gains, recall@10 of at most 10 answers, and MRR over the whole list."""
    sums = np.zeros(3)
    discounts = 1 / np.log2(np.arange(2, 12))
    for gains, (rows, _) in zip(questions.gains, found):
        got = np.array([gains.get(int(row), 0.0) for row in rows])
        ideal = np.sort(list(gains.values()))[::-1][:10]
        right = np.flatnonzero(got)
        sums[0] += got[:10] @ discounts[: len(got[:10])] / (ideal @ discounts[: len(ideal)])
        sums[1] += np.count_nonzero(got[:10]) / min(len(gains), 10)
        sums[2] += 1 / (right[0] + 1) if len(right) else 0
    return dict(zip(("ndcg", "recall", "mrr"), (sums / len(questions.gains)).round(4).tolist()))


def compare(questions: Set, model: str) -> dict[str, dict[str, float]]:
    """Every way of searching, measured."""
    ways: dict[str, list[Part]] = {}
    for name, analysis in (("", Analysis()), (", Snowball", Analysis(stemmer="snowball"))):
        searches = Searches(questions, model, analysis)
        if not name:
            ways["dense"] = searches.dense
        ways[f"text{name}"] = searches.text
        ways[f"bm25s on the same tokens{name}"] = bm25s(questions, analysis)
        ways[f"hybrid, reciprocal ranks{name}"] = searches.reciprocal()
        ways[f"hybrid, lowest to highest, alpha 0.5{name}"] = searches.minmax(0.5)
        ways[f"hybrid, theoretical, alpha 0.5{name}"] = searches.theoretical(0.5)
        ways[f"hybrid, default, alpha 0.5{name}"] = best = searches.complementary(0.5)
        if not name:
            ways["default without completeness"] = searches.without_completeness()
            ways["default without vectors"] = searches.without_vectors()
            ways |= {f"hybrid, default, alpha {a}": searches.complementary(a) for a in ALPHAS}
            ways |= {f"hybrid, lowest to highest, alpha {a}": searches.minmax(a) for a in ALPHAS}
            ways |= {f"hybrid, theoretical, alpha {a}": searches.theoretical(a) for a in ALPHAS}
            ways["hybrid, default, then MMR, lambda 0.7"] = searches.diversified(best, 0.7)
    return {name: measure(questions, found) for name, found in ways.items()}


# --- the page ---------------------------------------------------------------------------------------------

_METHOD = Path(__file__).with_name("quality.md")


def main(argv: Sequence[str]) -> None:
    """Measure every way of searching on every set; write the figures and a page."""
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=main.__doc__)
    parser.add_argument("--cranfield", type=Path, default=CRANFIELD, help="left out where it is not")
    parser.add_argument("--output", type=Path, default=Path("docs/quality.json"))
    arguments = parser.parse_args(argv)
    sets = [standard_library(answers_keep_sentence=kept) for kept in (False, True)]
    if arguments.cranfield.exists():
        sets.insert(0, cranfield(arguments.cranfield))
    packages = ("numpy", "wordllama", "snowballstemmer", "bm25s")
    results: dict[str, Any] = {
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "sets": [
            {
                "set": one.name,
                "model": model,
                "documents": len(one.documents),
                "questions": len(one.questions),
            }
            | {"ways": compare(one, model)}
            for one in sets
            for model in one.vectors
        ],
    }
    arguments.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    page = _METHOD.read_text(encoding="utf-8") + "\n" + "\n".join(_tables(results))
    arguments.output.with_suffix(".md").write_text(page, encoding="utf-8")
    print(page)


def _tables(results: dict[str, Any]) -> Iterator[str]:
    yield "Versions: " + ", ".join(f"{name} {number}" for name, number in results["versions"].items()) + ".\n"
    for one in results["sets"]:
        yield f"## {one['set']}, {one['model']}\n"
        yield f"{one['documents']:,} records, {one['questions']} questions.\n"
        yield "| | nDCG@10 | recall@10 | MRR |\n|---|---|---|---|"
        for name, figures in one["ways"].items():
            yield f"| {name} | " + " | ".join(f"{figures[m]:.3f}" for m in ("ndcg", "recall", "mrr")) + " |"
        yield ""


if __name__ == "__main__":
    main(sys.argv[1:])
