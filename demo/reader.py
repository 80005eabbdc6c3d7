"""What answer can be given without a language model?

The extractive reader quotes: of the sentences in the retrieved entries it picks those that agree
best with the question, by embedding and by words in common, and names the entry of each. It invents
nothing, and says so when no sentence comes near. It reads the same prompt that a language model
would get, so that both are used alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

NAME = "extractive reader, no language model configured"
NOTHING = "None of the retrieved entries answers this."
# One prompt for the reader and for every language model, in both frameworks.
PROMPT = (
    "Answer the question briefly, from the numbered entries below and nothing else. "
    "Cite the entries you used by number, like [1]. If they do not answer it, say so.\n\n"
    "{context}\n\n"
    "Question: {question}\n"
    "Answer:"
)
_SOURCE = re.compile(r"^=== \[(\d+)\] (.*) ===$", re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<=[.!?:])\s+(?=[\"'“‘*`(\[]*[A-Z])")
# The lines of a list or table are as many statements.
_ITEM = re.compile(r"\n(?=[ \t]*(?:[-*•+|]|\d+[.)])[ \t])")
_CODE = re.compile(
    r"^[^\S\n]*(?:>>>|\.\.\. |@\w|def \w|class \w+.*:$|import \w"
    r"|from \S+ import |return\b.*[^.]$|[\w.\[\]]+ = \S)"
    # Whether the line ends in ":" is looked up once, not anew for every word in it.
    r"|^ (?:(?=.*:$).*\b(?:if|else|for|while|with|try|except)\b|.*\)$)",
    re.MULTILINE,
)
_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an and any are as at be by can do does for from get give given has have how i if in into "
        "is it its make me my of on one or same should so than that the their them then there they "
        "this to use used using was what when where which who why will with you your",
    )
)
SENTENCE_CHARS_MAX = 400

Source = tuple[int, str, str]
Embed = Callable[[Sequence[str]], np.ndarray]


def numbered(number: int, name: str, text: str) -> str:
    """A retrieved entry as it stands in the prompt."""
    return f"=== [{number}] {name} ===\n{text}"


@dataclass(frozen=True)
class Sentence:
    """A sentence of a retrieved entry, with the example that it introduces."""

    source: int
    place: int
    text: str
    example: str = ""


@dataclass(frozen=True)
class ExtractiveReader:
    """Answers a prompt made of `PROMPT` and `numbered` by quoting its entries."""

    embed: Embed
    sentences_max: int = 3
    # Below this score what is quoted has, in the demo's corpus, nothing to do with the question.
    score_min: float = 0.3
    # A further sentence must come this near to the best one.
    score_share: float = 0.8

    def answer(self, prompt: str) -> str:
        context, _, question = prompt.removesuffix("\nAnswer:").rpartition("\nQuestion: ")
        sources = _sources_in(context)
        sentences = _distinct(s for source in sources for s in sentences_of(source[0], source[2]))
        if not sentences:
            return NOTHING
        scores = self._scores(question, sentences, sources)
        floor = max(self.score_min, self.score_share * float(scores.max()))
        best = [i for i in np.argsort(-scores)[: self.sentences_max] if scores[i] >= floor]
        if not best:
            return NOTHING
        return _quote([sentences[i] for i in best], {number: name for number, name, _ in sources})

    def _scores(self, question: str, sentences: Sequence[Sentence], sources: Sequence[Source]) -> np.ndarray:
        """How near the sentence is, how many words it shares, how near its entry is, in this weight."""
        entries = [f"{name}\n{text}" for _, name, text in sources]
        texts = [question, *(sentence.text for sentence in sentences), *entries]
        vectors = np.asarray(self.embed(texts), dtype=np.float32)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        nearness = vectors[1:] @ vectors[0]
        of_sentence, of_entry = nearness[: len(sentences)], nearness[len(sentences) :]
        entry_of = {number: i for i, (number, _, _) in enumerate(sources)}
        of_its_entry = of_entry[[entry_of[sentence.source] for sentence in sentences]]
        wanted = words_of(question)
        shared = np.array([len(wanted & words_of(s.text)) for s in sentences]) / max(len(wanted), 1)
        score = 0.45 * of_sentence + 0.35 * shared + 0.2 * of_its_entry
        return np.where((shared > 0) | (of_sentence > 0.6), score, 0.0)


def _distinct(sentences: Iterable[Sentence]) -> list[Sentence]:
    """Chapters of the language reference repeat each other; the first entry that says it is quoted."""
    return list({sentence.text: sentence for sentence in reversed(list(sentences))}.values())[::-1]


def sentences_of(number: int, text: str) -> list[Sentence]:
    """The sentences of an entry's prose. Code is none; after one that ends in ":" it is its example."""
    found: list[Sentence] = []
    for block in re.split(r"\n[ \t]*\n", text):
        announced = bool(found) and found[-1].text.endswith(":") and not found[-1].example
        if _is_code(block) or (announced and block.startswith("  ")):
            if announced:
                found[-1] = replace(found[-1], example=block.rstrip())
            continue
        for item in _ITEM.split(block):
            for sentence in _SENTENCE_END.split(_one_line(item)):
                if len(words_of(sentence)) > 1:
                    found.append(Sentence(number, len(found), sentence[:SENTENCE_CHARS_MAX]))
    # What announces something that is not there is no answer.
    return [sentence for sentence in found if sentence.example or not sentence.text.endswith(":")]


def words_of(text: str) -> set[str]:
    """The words that say what a text is about, without their commonest endings."""
    words = re.findall(r"[a-z]{2,}|[0-9]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", text).lower())
    return {re.sub(r"(?<=[a-z]{3})(ing|ed|es|s|e)$", "", word) for word in words if word not in _STOP_WORDS}


def _sources_in(prompt: str) -> list[Source]:
    marks = list(_SOURCE.finditer(prompt))
    ends = [mark.start() for mark in marks[1:]] + [len(prompt)]
    return [
        (int(mark.group(1)), mark.group(2), prompt[mark.end() : end].strip("\n"))
        for mark, end in zip(marks, ends)
    ]


def _one_line(block: str) -> str:
    """A paragraph unwrapped; a word that was broken at its hyphen is one word again."""
    return " ".join(re.sub(r"(?<=\w-)\n\s*(?=\w)", "", block).split())


def _is_code(block: str) -> bool:
    return bool(_CODE.search(block))


def _quote(sentences: Sequence[Sentence], names: dict[int, str]) -> str:
    """The best sentence's entry first; within an entry, its own order."""
    order = list(dict.fromkeys(sentence.source for sentence in sentences))
    paragraphs = []
    for source in order:
        own = sorted((s for s in sentences if s.source == source), key=lambda s: s.place)
        quoted = " ".join(s.text for s in own)
        examples = [s.example for s in own if s.example]
        paragraphs.append("\n\n".join([f"{names[source]}: {quoted} [{source}]", *examples]))
    return "\n\n".join(paragraphs)
