"""How does LangChain use one of Vicinal's embedding functions?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.embeddings import Embeddings
from langchain_core.runnables.config import run_in_executor

from vicinal.embedding import DefaultEmbeddingFunction
from vicinal.embedding.protocol import embed
from vicinal.errors import ArgumentTypeError


class VicinalEmbeddings(Embeddings):
    """A LangChain embedding model around an embedding function of Vicinal's.

    Args:
        function: Any callable from a list of texts to as many vectors; its `embed_query`, if it has
            one, embeds queries. Left out: Vicinal's default function, which works offline
            (`pip install "vicinal[wordllama]"`).
    """

    def __init__(self, function: Callable[[list[str]], Any] | None = None) -> None:
        used: Any = DefaultEmbeddingFunction() if function is None else function
        if not callable(used):
            expected = "a function from texts to vectors"
            raise ArgumentTypeError(argument="function", expected=expected, got=used)
        self.function = used

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector per text."""
        return embed(self.function, texts, query=False).tolist() if texts else []

    def embed_query(self, text: str) -> list[float]:
        """The vector of a query."""
        [vector] = embed(self.function, [text], query=True).tolist()
        return vector  # type: ignore[no-any-return]


def vectors_of(model: Embeddings, texts: list[str]) -> Any:
    """One vector per text, for a store.

    Those of a function of Vicinal's stay an array: as lists they take eight times the memory, and the
    making of these lists lets no other thread run.
    """
    if type(model) is VicinalEmbeddings:
        return embed(model.function, texts, query=False)
    return model.embed_documents(texts)


async def avectors_of(model: Embeddings, texts: list[str]) -> Any:
    """Async `vectors_of`."""
    if type(model) is VicinalEmbeddings:
        return await run_in_executor(None, vectors_of, model, texts)
    return await model.aembed_documents(texts)
