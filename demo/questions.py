"""What does the demo ask, and how?

`SHOWN` are the questions of `make demo`, each with the framework, the filter and the diversity it
is asked with. A question over a user's own folder, or from the command line, is a `Question` too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, Union

Operator = Literal["==", "!=", "<=", ">=", "in"]
# Each character has one place in it, so that a long heading takes no longer than its length.
_FEW_WORDS = re.compile(r"\w[\w',-]*(?:\s+\w[\w',-]*){0,7}")
_OPERATORS: dict[str, Operator] = {"=": "==", "==": "==", "!=": "!=", "<=": "<=", ">=": ">="}
# What an entry's metadata holds as a number; all else is text, a folder's name of digits too.
_NUMBERS = ("chunk", "chunks", "line", "lines")
Framework = Literal["LangChain", "LlamaIndex"]
LANGCHAIN: Framework = "LangChain"
LLAMA_INDEX: Framework = "LlamaIndex"


class Condition(NamedTuple):
    """A condition on metadata; several are combined by "and"."""

    key: str
    operator: Operator
    value: Union[str, int, tuple[Union[str, int], ...]]

    def __str__(self) -> str:
        value = ", ".join(map(str, self.value)) if isinstance(self.value, tuple) else self.value
        return f"{self.key} {self.operator} {value}"


class Question(NamedTuple):
    """A question and the way it is asked."""

    text: str
    framework: Framework = LANGCHAIN
    filter: tuple[Condition, ...] = ()
    # From 1 (nearness alone) to 0 (difference alone); None is a plain search.
    mmr: float | None = None
    # The entries that answer it, where known: the display then says at which rank they came.
    entries: tuple[str, ...] = ()


LANGUAGE = Condition("kind", "==", "topic")
# Less brings in what is merely different; more lets the language reference's repeated chapters in.
DIVERSE = 0.75


def parse_condition(text: str) -> Condition:
    """A condition as the command line gives it: `kind=topic`, `package=json,csv`, `lines<=20`.

    `chunk`, `chunks`, `line` and `lines` are compared as numbers, every other key as text.

    Raises ValueError for anything else.
    """
    found = re.fullmatch(r"\s*([\w.]+)\s*(!=|<=|>=|==?)\s*(.+?)\s*", text)
    if found is None:
        raise ValueError(f"{text!r}: expected KEY=VALUE, KEY!=VALUE, KEY<=NUMBER or KEY>=NUMBER")
    key, operator, value = found.groups()
    if operator.startswith("=") and "," in value:
        return Condition(key, "in", tuple(_value(key, part.strip()) for part in value.split(",")))
    return Condition(key, _OPERATORS[operator], _value(key, value))


def _value(key: str, text: str) -> Union[str, int]:
    if key not in _NUMBERS:
        return text
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):  # more digits than a record's number can have
        raise ValueError(f"{key} is compared with whole numbers, and {text!r} is none")
    return int(text)


def questions_about(metadatas: Iterable[Mapping[str, Any]], questions_max: int = 3) -> list[Question]:
    """Something to ask of a folder that nobody described: some of its own headings, spread over it."""
    given = [str(m["name"]) for m in metadatas]
    names = dict.fromkeys(re.sub(r"^[\d.]+\s*|_", " ", name).strip() or name for name in given)
    telling = [name for name in names if len(name) > 1 and _FEW_WORDS.fullmatch(name)] or list(names)
    step = max(1, len(telling) // questions_max)
    manners = [(LANGCHAIN, None), (LLAMA_INDEX, DIVERSE), (LANGCHAIN, DIVERSE)]
    return [
        Question(name, framework, mmr=mmr)
        for name, (framework, mmr) in zip(telling[step // 2 :: step], manners[:questions_max])
    ]


SHOWN = (
    Question(
        "How do I merge several sorted inputs into one?",
        entries=("heapq.merge",),
    ),
    Question(
        "How do I get the most common elements of a counter?",
        entries=("collections.Counter.most_common",),
    ),
    Question(
        "How do I add an item to the left end of a queue?",
        filter=(Condition("package", "==", "collections"),),
        entries=("collections.deque.appendleft",),
    ),
    Question(
        "How do I check that an exception is raised?",
        filter=(Condition("package", "==", "unittest"), Condition("kind", "in", ("method", "function"))),
        entries=("unittest.case.TestCase.assertRaises",),
    ),
    Question(
        "What is the difference between a method and a function?",
        filter=(LANGUAGE,),
        mmr=DIVERSE,
        entries=("help/types/instance-methods", "help/typesmethods/*"),
    ),
    Question(
        "How do I wait until a thread has finished?",
        LLAMA_INDEX,
        entries=("threading.Thread.join",),
    ),
    Question(
        "How do decorators work?",
        LLAMA_INDEX,
        filter=(LANGUAGE,),
        entries=("help/*/function-definitions",),
    ),
    Question(
        "How do I copy a file?",
        LLAMA_INDEX,
        filter=(Condition("package", "==", "shutil"), Condition("status", "==", "current")),
        entries=("shutil.copyfileobj", "shutil.copyfile", "shutil.copy", "shutil.copy2"),
    ),
    Question(
        "How are default parameter values evaluated?",
        LLAMA_INDEX,
        filter=(LANGUAGE,),
        mmr=DIVERSE,
        entries=("help/*/function-definitions",),
    ),
)
