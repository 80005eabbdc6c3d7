"""How do the texts and Documents of one call become records?

Every argument may be any iterable and is read once. Ids that are missing are made; of records with
the same id the last one wins, and only that one is embedded. Nothing the caller gave is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import numpy as np
from langchain_core.documents import Document
from numpy.typing import NDArray

from vicinal.errors import ArgumentTypeError, InvalidArgumentError, shown

Metadatas = Iterable[dict[str, Any] | None]
Progress = Callable[[int, int], object]
"""Called with how many are done and how many there are."""

TOLD_EVERY = 1_000
"""After so many embedded texts the caller is told, who asked for it."""


@dataclass(frozen=True)
class Batch:
    """Records by column, with unique ids."""

    ids: list[str]
    texts: list[str]
    metadatas: list[dict[str, Any]]
    embeddings: Any = None

    def parts(self, size: int | None) -> Iterator[Batch]:
        """The batch in pieces of at most `size` records; whole, if that is None."""
        step = (len(self.ids) or 1) if size is None else whole(size, "batch_size", least=1)
        for start in range(0, len(self.ids), step):
            yield self._pick(slice(start, start + step))

    def _pick(self, rows: slice) -> Batch:
        embeddings = None if self.embeddings is None else self.embeddings[rows]
        return Batch(self.ids[rows], self.texts[rows], self.metadatas[rows], embeddings)


class Told:
    """How far a call has come, told to the caller if asked for."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        if progress is not None and not callable(progress):
            raise ArgumentTypeError(
                argument="progress", expected="a function of two numbers, such as print", got=progress
            )
        self._progress, self._done, self._total = progress, 0, total

    def pieces(self, part: Batch) -> Iterator[Batch]:
        """What is to be embedded in one go."""
        return part.parts(None if self._progress is None else TOLD_EVERY)

    def more(self, count: int) -> None:
        """So many more are done."""
        self._done += count
        if self._progress is not None and count:
            self._progress(self._done, self._total)


def of_texts(
    texts: Iterable[str],
    metadatas: Metadatas | None,
    ids: Iterable[str | None] | None,
    embeddings: Any = None,
) -> tuple[list[str], Batch]:
    """One id per text, repeats included, and the records to write."""
    if isinstance(texts, str):
        raise ArgumentTypeError(argument="texts", expected="a list of str", got=texts)
    column = listed(texts, "texts")
    for i, text in enumerate(column):
        if not isinstance(text, str):
            raise ArgumentTypeError(argument=f"texts[{i}]", expected="a str", got=text)
    return _records(column, "texts", metadatas, ids, embeddings)


def of_documents(
    documents: Iterable[Document] | Document,
    ids: Iterable[str | None] | None,
    embeddings: Any = None,
) -> tuple[list[str], Batch]:
    """Like `of_texts`; `ids`, when given, take the place of the documents' own."""
    column = [documents] if isinstance(documents, Document) else listed(documents, "documents")
    for i, document in enumerate(column):
        if not isinstance(document, Document):
            raise ArgumentTypeError(argument=f"documents[{i}]", expected="a Document", got=document)
    texts = [document.page_content for document in column]
    metadatas = [document.metadata for document in column]
    return _records(texts, "documents", metadatas, _ids_of(column, ids), embeddings)


def of_changes(documents: Iterable[Document] | Document | None, ids: Iterable[str] | None) -> Batch:
    """The records of an update: documents under these ids, or else under their own."""
    column = [documents] if isinstance(documents, Document) else listed(documents or [], "documents")
    given = _ids_of(column, ids)
    if None in given:
        raise InvalidArgumentError("an update needs ids, or documents that have their own")
    return of_documents(column, given)[1]


def of_embeddings(*args: Any, **kwargs: Any) -> tuple[list[str], Batch]:
    """The three ways in which `add_embeddings` is called.

    (texts, embeddings, metadatas, ids) as in PGVector; (text_embeddings, metadatas, ids), the first
    an iterable of pairs, as in FAISS; embeddings, metadatas and ids by name, without texts, as mem0
    does.
    """
    named = "text_embeddings" in kwargs
    columns = [kwargs.pop("text_embeddings"), *args] if named else list(args)
    if columns and columns[0] is not None and not isinstance(columns[0], str):
        columns[0] = listed(columns[0], "text_embeddings" if named else "texts")
        if named or (columns[0] and not isinstance(columns[0][0], str)):
            pairs = [_pair(item, i) for i, item in enumerate(columns[0])]
            columns[:1] = [[text for text, _ in pairs], [vector for _, vector in pairs]]
    return _embedded(*columns, **kwargs)


def _embedded(
    texts: Iterable[str] | None = None,
    embeddings: Any = None,
    metadatas: Metadatas | None = None,
    ids: Iterable[str | None] | None = None,
    **_: Any,
) -> tuple[list[str], Batch]:
    if embeddings is None and texts == []:
        embeddings = []  # no pairs, or no texts: nothing to add is no error
    if embeddings is None:
        raise InvalidArgumentError("add_embeddings needs embeddings; add_texts makes them from texts")
    if texts is not None:
        return of_texts(texts, metadatas, ids, embeddings)
    vectors = _sequence(embeddings)
    return _records([""] * len(vectors), "embeddings", metadatas, ids, vectors)


def _records(
    texts: list[str],
    what: str,
    metadatas: Metadatas | None,
    ids: Iterable[str | None] | None,
    embeddings: Any,
) -> tuple[list[str], Batch]:
    count = len(texts)
    # As in LangChain's own add_texts, an empty list of ids or metadatas is as good as none.
    given = _column(metadatas, "metadatas", count, what) or [None] * count
    own_ids = _ids(ids, count, what) or [None] * count
    id_column = [str(uuid4()) if id is None else id for id in own_ids]
    rows = Batch(id_column, texts, [{} if metadata is None else metadata for metadata in given])
    if embeddings is not None:
        vectors = _sequence(embeddings)
        _same_length(len(vectors), "embeddings", count, what)
        rows = Batch(rows.ids, rows.texts, rows.metadatas, vectors)
    return id_column, _last_of_each(rows)


def _last_of_each(rows: Batch) -> Batch:
    """Of records with one id the last, at the place of the first."""
    last = {_checked(id, i): i for i, id in enumerate(rows.ids)}
    if len(last) == len(rows.ids):
        return rows
    keep = list(last.values())
    columns: list[Any] = [
        None if column is None else [column[i] for i in keep]
        for column in (rows.ids, rows.texts, rows.metadatas, rows.embeddings)
    ]
    return Batch(*columns)


def _checked(id: Any, position: int) -> Any:
    if not isinstance(id, str):
        raise ArgumentTypeError(argument=f"ids[{position}]", expected="a str or None", got=id)
    return id


def _ids(ids: Iterable[str | None] | None, count: int, what: str) -> list[str | None]:
    return _column([ids] if isinstance(ids, str) else ids, "ids", count, what)


def _ids_of(documents: list[Document], ids: Iterable[str | None] | None) -> list[str | None]:
    """The given ids; the documents' own, when none are given."""
    return _ids(ids, len(documents), "documents") or [getattr(item, "id", None) for item in documents]


def _column(values: Any, name: str, count: int, what: str) -> list[Any]:
    column = [] if values is None else listed(values, name)
    if column:
        _same_length(len(column), name, count, what)
    return column


def listed(values: Any, name: str) -> list[Any]:
    """What any iterable gives, read once."""
    try:
        items = iter(values)
    except TypeError:
        raise ArgumentTypeError(argument=name, expected="a list", got=values) from None
    return list(items)


def one_or_many(keys: Any, name: str) -> list[Any]:
    """Keys as a list; one string is a list of itself, as everywhere in the engine, not its letters."""
    return [keys] if isinstance(keys, str) else listed(keys, name)


def whole(number: Any, argument: str, least: int = 0) -> int:
    """A whole number, NumPy's included, that is no flag and at least so large."""
    if isinstance(number, bool) or not hasattr(number, "__index__"):
        raise ArgumentTypeError(argument=argument, expected="an int", got=number)
    if number < least:
        raise InvalidArgumentError(f"{argument}: expected at least {least}, got {shown(int(number))}")
    return int(number)


def _pair(item: Any, position: int) -> tuple[str, Any]:
    try:
        text, vector = item
    except (TypeError, ValueError):
        expected = "a pair of a text and its vector"
        raise ArgumentTypeError(
            argument=f"text_embeddings[{position}]", expected=expected, got=item
        ) from None
    return text, vector


def _sequence(vectors: Any) -> Sequence[Any] | NDArray[Any]:
    """Vectors by position: a pandas Series has labels in their place, a deque takes no slices."""
    if hasattr(vectors, "__array__"):  # a whole one, a DataFrame too; objects are the vectors themselves
        array = np.asarray(vectors)
        return list(array) if array.dtype == object else array
    if isinstance(vectors, Mapping):
        raise ArgumentTypeError(argument="embeddings", expected="a list of vectors", got=vectors)
    return listed(vectors, "embeddings")


def _same_length(length: int, name: str, count: int, what: str) -> None:
    if length != count:
        raise InvalidArgumentError(
            f"Expected one item of {name} for each of the {count} {what}, got {length}"
        )
