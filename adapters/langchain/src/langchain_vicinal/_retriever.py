"""Which search does a `search_type` name?

`search`, `asearch` and the retriever know LangChain's three types and two of ours: "text" searches words,
"hybrid" words and vectors. They are `similarity_search` with that `mode`; every option of it goes with
them.
"""

from __future__ import annotations

from collections.abc import Collection
from inspect import signature
from typing import Any, ClassVar

from langchain_core import vectorstores
from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document

from langchain_vicinal._search import plan
from langchain_vicinal._searching import SearchMethods
from vicinal.errors import InvalidArgumentError, shown

OF_WORDS = ("hybrid", "text")
_OPTIONS = {*signature(plan).parameters, "score_threshold"} - {"unknown"}
SEARCH_TYPES = ("similarity", "similarity_score_threshold", "mmr", *OF_WORDS)


class TypedSearch(SearchMethods):
    """The methods that are told by a word how to search."""

    def search(self, query: str, search_type: str, **kwargs: Any) -> list[Document]:
        """The documents that a search of this type finds.

        Args:
            query: The text to search for.
            search_type: "similarity", "similarity_score_threshold", "mmr", "hybrid" or "text".
            **kwargs: Those of `similarity_search`, of `max_marginal_relevance_search` for "mmr", and
                `score_threshold` for "similarity_score_threshold".
        """
        if _checked(search_type) in OF_WORDS:
            return self.similarity_search(query, **_with_mode(search_type, kwargs))
        return super().search(query, search_type, **kwargs)

    async def asearch(self, query: str, search_type: str, **kwargs: Any) -> list[Document]:
        """Async `search`."""
        if _checked(search_type) in OF_WORDS:
            return await self.asimilarity_search(query, **_with_mode(search_type, kwargs))
        return await super().asearch(query, search_type, **kwargs)

    def as_retriever(self, **kwargs: Any) -> vectorstores.VectorStoreRetriever:
        """A retriever that searches this store.

        Args:
            **kwargs: `search_type`, one of those of `search` ("similarity" unless given);
                `search_kwargs`, what goes to the search; `tags`, `metadata`, as every retriever has.

        An option of a search counts beside the `search_kwargs`, too, unless it is among them: LangChain
        drops it there, and a filter would let everything through.
        """
        beside = {name: kwargs.pop(name) for name in _OPTIONS & kwargs.keys()}
        if beside:
            kwargs["search_kwargs"] = {**beside, **(kwargs.get("search_kwargs") or {})}
        tags = kwargs.pop("tags", None) or self._get_retriever_tags()
        return VectorStoreRetriever(vectorstore=self, tags=tags, **kwargs)


class VectorStoreRetriever(vectorstores.VectorStoreRetriever):
    """LangChain's retriever, with the search types that this store has besides.

    Its name is LangChain's too: traces and `astream_events` know a retriever by it.
    """

    allowed_search_types: ClassVar[Collection[str]] = SEARCH_TYPES

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        return self.vectorstore.search(query, self.search_type, **self._options(kwargs))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        return await self.vectorstore.asearch(query, self.search_type, **self._options(kwargs))

    def _options(self, given: dict[str, Any]) -> dict[str, Any]:
        """The retriever's options, and those of the call before them."""
        options = self.search_kwargs | given
        for name in ("query", "search_type"):
            if name in options:
                raise InvalidArgumentError(
                    f"{name} is no search option, but got {shown(options[name])}; a retriever's type is "
                    "given as as_retriever(search_type=…), and its query to invoke"
                )
        return options


def _checked(search_type: str) -> str:
    if search_type not in SEARCH_TYPES:
        raise InvalidArgumentError(
            f"search_type of {_said(search_type)} not allowed. Expected one of {', '.join(SEARCH_TYPES)}"
        )
    return search_type


def _said(given: Any) -> str:
    """A text as it is, and anything else as it looks."""
    return given if isinstance(given, str) else shown(given)


def _with_mode(search_type: str, options: dict[str, Any]) -> dict[str, Any]:
    if options.get("mode", search_type) != search_type:
        raise InvalidArgumentError(
            f'search_type="{search_type}" and mode="{_said(options["mode"])}" contradict each other; give one'
        )
    return {**options, "mode": search_type}
