"""How does a question in plain words become a search with a filter?

A language model writes a structured query, LangChain parses it, `VicinalTranslator` says it in the
filter language of this store. All comparators and operators are allowed:

    eq, ne, gt, gte, lt, lte, in, nin   as their names say; a missing key is not equal to anything
    contain(k, v)                       v is in the list, or a part of the text; all of them, if v is a list
    like(k, "%pattern_")                the whole text, % any run and _ any character, as in SQL
    and, or, not                        not(a, b) is neither

A date is a whole day: `eq` finds every moment in it, `gt` what comes after it, `lte` also what happens
on it. Values may be dates, datetimes (UTC unless they have a zone) or ISO text that begins with a date.
A datetime is a moment, and compared with moments only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from langchain_core.structured_query import (
    Comparator,
    Comparison,
    Operation,
    Operator,
    StructuredQuery,
    Visitor,
)

from langchain_vicinal._filters import Filter, to_where
from vicinal.errors import InvalidArgumentError, VicinalError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseLanguageModel
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.vectorstores import VectorStore


class MissingPackageError(VicinalError, ImportError):
    """A method needs a package that is not installed; the text says how to get it."""


class VicinalTranslator(Visitor):
    """From LangChain's structured queries to the `filter` of a `VicinalVectorStore`."""

    allowed_comparators: Sequence[Comparator] | None = tuple(Comparator)
    allowed_operators: Sequence[Operator] | None = tuple(Operator)

    def visit_structured_query(self, structured_query: StructuredQuery) -> tuple[str, dict[str, Any]]:
        """The text to search for, and the search's `filter`, if there is one."""
        if structured_query.filter is None:
            return structured_query.query, {}
        return structured_query.query, {"filter": structured_query.filter.accept(self)}

    def visit_operation(self, operation: Operation) -> Filter:
        """`and`, `or` and `not` of any number of conditions."""
        logic = {Operator.AND: "$and", Operator.OR: "$or", Operator.NOT: "$nor"}
        return {logic[operation.operator]: [argument.accept(self) for argument in operation.arguments]}

    def visit_comparison(self, comparison: Comparison) -> Filter:
        """One comparison of an attribute with a value."""
        key, operator = comparison.attribute, comparison.comparator
        if operator in (Comparator.IN, Comparator.NIN):
            among: Filter = {"$or": [_compare(key, Comparator.EQ, value) for value in _listed(comparison)]}
            return among if operator is Comparator.IN else {"$not": among}
        if operator is Comparator.CONTAIN:
            return {"$and": [_contains(key, value) for value in _listed(comparison)]}
        if operator is Comparator.NE:
            return {"$not": _compare(key, Comparator.EQ, comparison.value)}
        return _compare(key, operator, comparison.value)


class _Within(Visitor):
    """Another translator, whose filters select only among what a fixed one selects."""

    def __init__(self, translator: Visitor, fixed: Filter) -> None:
        self._translator, self._fixed = translator, fixed
        self.allowed_comparators = translator.allowed_comparators
        self.allowed_operators = translator.allowed_operators

    def visit_structured_query(self, structured_query: StructuredQuery) -> tuple[str, dict[str, Any]]:
        query, options = self._translator.visit_structured_query(structured_query)
        if "filter" in options:
            options = {**options, "filter": {"$and": [self._fixed, options["filter"]]}}
        return query, options

    def visit_operation(self, operation: Operation) -> Any:
        return self._translator.visit_operation(operation)

    def visit_comparison(self, comparison: Comparison) -> Any:
        return self._translator.visit_comparison(comparison)


def self_query_retriever(
    llm: BaseLanguageModel[Any],
    store: VectorStore,
    document_contents: str,
    metadata_field_info: Sequence[Any],
    **kwargs: Any,
) -> BaseRetriever:
    """LangChain's SelfQueryRetriever over a store of ours; see `as_self_query_retriever`."""
    try:
        import lark  # type: ignore[import-not-found,unused-ignore]  # noqa: F401  # parses what the model writes
        from langchain_classic.retrievers import SelfQueryRetriever
    except ModuleNotFoundError as error:  # another ImportError says what is broken in a package that is there
        raise MissingPackageError(
            f"as_self_query_retriever needs the package {error.name}, which is not installed. "
            'Install it with:  pip install "langchain-vicinal[self-query]"'
        ) from None
    translator = kwargs.pop("structured_query_translator", None) or VicinalTranslator()
    options = dict(kwargs.pop("search_kwargs", None) or {})
    fixed = to_where(options.get("filter"), where=options.pop("where", None))
    if fixed is not None:  # LangChain lets the model's filter take its place
        options["filter"], translator = fixed, _Within(translator, fixed)
    kwargs |= {"structured_query_translator": translator, "search_kwargs": options}
    made: BaseRetriever = SelfQueryRetriever.from_llm(
        llm, store, document_contents, metadata_field_info, **kwargs
    )
    return made


_AFTER_ALL = "9999-12-32"
"""The first text behind those of the last day that there is."""


# --- comparisons -------------------------------------------------------------------------------


def _compare(key: str, operator: Comparator, value: Any) -> Filter:
    """`eq`, `like`, or an order."""
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "date":
        return _on_day(key, operator, _read(date.fromisoformat, value["date"], key))
    if kind == "datetime":
        text = value["datetime"].replace("Z", "+00:00")  # Python 3.10 reads no Z
        value = _read(datetime.fromisoformat, text, key)
    return {key: {f"${operator.value}": value}}


def _read(read: Callable[[str], Any], text: str, key: str) -> Any:
    try:
        return read(text)
    except ValueError:
        raise InvalidArgumentError(
            f"the structured query compares {key!r} with {text!r}, which is no date or datetime in ISO 8601"
        ) from None


def _on_day(key: str, operator: Comparator, day: date) -> Filter:
    """A day is all that is not before its beginning and before the beginning of the next."""
    begins, ends = _not_before(key, day), _before(key, day)
    if day == date.max:  # "for ever", in many tables: nothing begins after it but a text
        next_begins: Filter = {"$or": [{key: {"$gt": datetime.max}}, {key: {"$gte": _AFTER_ALL}}]}
        next_ends: Filter = {"$or": [{key: {"$lte": datetime.max}}, {key: {"$lt": _AFTER_ALL}}]}
    else:
        following = day + timedelta(days=1)
        next_begins, next_ends = _not_before(key, following), _before(key, following)
    days: dict[Comparator, Filter] = {
        Comparator.EQ: {"$and": [begins, next_ends]},
        Comparator.GT: next_begins,
        Comparator.GTE: begins,
        Comparator.LT: ends,
        Comparator.LTE: next_ends,
    }
    if operator not in days:
        raise InvalidArgumentError(f"the structured query applies {operator.value!r} to {key!r} and a date")
    return days[operator]


def _not_before(key: str, day: date) -> Filter:
    return {"$or": [{key: {"$gte": day}}, {key: {"$gte": day.isoformat()}}]}


def _before(key: str, day: date) -> Filter:
    return {"$or": [{key: {"$lt": day}}, {key: {"$lt": day.isoformat()}}]}


def _contains(key: str, value: Any) -> Filter:
    if isinstance(value, dict):
        raise InvalidArgumentError(f"the structured query applies 'contain' to {key!r} and a date")
    in_list: Filter = {key: {"$contains": value}}
    if not isinstance(value, str):
        return in_list
    literal = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return {"$or": [in_list, {key: {"$like": f"%{literal}%"}}]}


def _listed(comparison: Comparison) -> list[Any]:
    value = comparison.value
    return list(value) if isinstance(value, (list, tuple)) else [value]
