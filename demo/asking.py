"""How do a LangChain chain and a LlamaIndex query engine find entries and answer from them?

`ask` takes a `Question` to the framework it names. Both ways are the frameworks' own: a retriever
made by `as_retriever` in an LCEL chain, and a `RetrieverQueryEngine` over
`VectorStoreIndex.from_vector_store`, on the same collection, with the same prompt and the same
writer of answers.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableParallel, RunnablePassthrough
from llama_index.core import PromptTemplate, QueryBundle, VectorStoreIndex
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters

from langchain_vicinal import VicinalEmbeddings, VicinalVectorStore
from llama_index.vector_stores.vicinal import VicinalEmbedding
from llama_index.vector_stores.vicinal import VicinalVectorStore as LlamaIndexVicinalVectorStore

from .answering import Answerer, ModelError
from .embedding import EmbeddingFunction, as_vectors
from .questions import LANGCHAIN, Condition, Question
from .reader import NOTHING, PROMPT, numbered

if TYPE_CHECKING:
    from vicinal import Collection

K = 5
# How many of the nearest MMR picks from.
FETCHED = 25
# What LlamaIndex asks a model with each further part of entries that do not fit into one prompt.
REFINE_PROMPT = (
    "Improve the answer so far from the further entries below and nothing else. Keep its numbers in "
    "brackets, and cite the entries you use by number in the same way. If they add nothing, repeat the "
    "answer so far.\n\n"
    "{context_msg}\n\n"
    "Question: {query_str}\n"
    "Answer so far: {existing_answer}\n"
    "Answer:"
)


@dataclass(frozen=True)
class Found:
    """A retrieved entry. The score is the cosine similarity to the question, larger is nearer."""

    id: str
    score: float
    body: str
    metadata: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What was found and said, and how long each took."""

    question: Question
    found: tuple[Found, ...]
    text: str
    search_s: float
    answer_s: float

    @property
    def sources(self) -> list[tuple[int, Found]]:
        """The entries that the answer cites as [n]; all of them if it cites none, none if it is none."""
        if self.text == NOTHING:
            return []
        cited = {int(number) for number in re.findall(r"\[(\d+)\]", self.text)}
        every = list(enumerate(self.found, start=1))
        return [(number, entry) for number, entry in every if number in cited] or every


@dataclass(frozen=True)
class Asker:
    """A collection, the function that embeds questions as its records were, and a writer of answers."""

    collection: Collection
    embed: EmbeddingFunction
    answerer: Answerer

    def ask(self, question: Question, k: int = K) -> Answer:
        """Search and answer through the framework that the question names.

        Raises:
            ModelError: The configured model did not answer.
        """
        ask = self._ask_langchain if question.framework == LANGCHAIN else self._ask_llama_index
        try:
            return ask(question, k)
        except self.answerer.errors as error:
            raise ModelError(
                f"{self.answerer.name} did not answer: {error}. Check OPENAI_BASE_URL, OPENAI_API_KEY and "
                "OPENAI_MODEL; with --reader the demo answers without a model."
            ) from error

    def _ask_langchain(self, question: Question, k: int) -> Answer:
        store = VicinalVectorStore(VicinalEmbeddings(self.embed), collection=self.collection)
        search: dict[str, Any] = {"k": k, "filter": as_where(question.filter)}
        if question.mmr is not None:
            search.update(fetch_k=max(FETCHED, k), lambda_mult=question.mmr)
        retriever = store.as_retriever(
            search_type="similarity" if question.mmr is None else "mmr", search_kwargs=search
        )
        write = ChatPromptTemplate.from_template(PROMPT) | self.answerer.chat_model | StrOutputParser()
        chain = (
            RunnableParallel(documents=retriever, question=RunnablePassthrough())
            .assign(context=lambda found: context_of(found["documents"]))
            .assign(answer=write)
        )
        # Streaming passes each key on as soon as it is there, so it also tells when the search ended.
        started, searched = time.perf_counter(), 0.0
        documents: list[Document] = []
        text = ""
        for part in chain.stream(question.text):
            if "documents" in part:
                documents, searched = part["documents"], time.perf_counter()
            text += part.get("answer", "")
        ended = time.perf_counter()
        # Retrievers return no scores; these are worked out after the clock has stopped.
        found = self._scored(question.text, documents)
        return Answer(question, found, text.strip(), searched - started, ended - searched)

    def _scored(self, text: str, documents: Sequence[Document]) -> tuple[Found, ...]:
        if not documents:
            return ()
        ids = [str(document.id) for document in documents]
        rows = self.collection.get(ids=ids, include=["embeddings"])
        vectors = np.asarray(rows["embeddings"], dtype=np.float32).reshape(len(ids), -1)
        asked = as_vectors(self.embed, [text])[0]
        cosines = vectors @ asked / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(asked))
        score = dict(zip(rows["ids"], map(float, cosines)))
        return tuple(
            Found(id, score[id], body_of(document.page_content, document.metadata), dict(document.metadata))
            for id, document in zip(ids, documents)
        )

    def _ask_llama_index(self, question: Question, k: int) -> Answer:
        engine = self.query_engine(question, k)
        bundle = QueryBundle(question.text)
        started = time.perf_counter()
        nodes = engine.retrieve(bundle)
        searched = time.perf_counter()
        response = engine.synthesize(bundle, nodes)
        ended = time.perf_counter()
        found = tuple(_found(node) for node in nodes)
        return Answer(question, found, str(response).strip(), searched - started, ended - searched)

    def query_engine(self, question: Question, k: int = K) -> RetrieverQueryEngine:
        """The LlamaIndex query engine for this way of asking: `engine.query(text)` answers too."""
        store = LlamaIndexVicinalVectorStore(collection=self.collection)
        index = VectorStoreIndex.from_vector_store(store, embed_model=VicinalEmbedding(self.embed))
        diversity: dict[str, Any] = {}
        if question.mmr is not None:
            diversity = {
                "vector_store_query_mode": "mmr",
                "vector_store_kwargs": {
                    "mmr_threshold": question.mmr,
                    "mmr_prefetch_k": max(FETCHED, k),
                },
            }
        engine = index.as_query_engine(
            llm=self.answerer.llm,
            similarity_top_k=k,
            filters=as_metadata_filters(question.filter),
            text_qa_template=PromptTemplate(PROMPT.format(context="{context_str}", question="{query_str}")),
            refine_template=PromptTemplate(REFINE_PROMPT),
            node_postprocessors=[NumberedEntries()],
            **diversity,
        )
        assert isinstance(engine, RetrieverQueryEngine)
        return engine


class NumberedEntries(BaseNodePostprocessor):
    """Gives every node the number and name under which the answer is to cite it."""

    @classmethod
    def class_name(cls) -> str:
        return "NumberedEntries"

    def _postprocess_nodes(
        self,
        nodes: list[NodeWithScore],
        query_bundle: QueryBundle | None = None,  # noqa: ARG002
    ) -> list[NodeWithScore]:
        return [_numbered_node(number, node) for number, node in enumerate(nodes, start=1)]


def context_of(documents: Sequence[Document]) -> str:
    """The retrieved documents as they stand in the prompt."""
    return "\n\n".join(
        numbered(number, name_of(d.metadata), body_of(d.page_content, d.metadata))
        for number, d in enumerate(documents, start=1)
    )


def name_of(metadata: dict[str, Any]) -> str:
    """An entry's name as users write it: `heapq.merge(*iterables, key=None, reverse=False)`."""
    kind, signature, qualname = metadata["kind"], metadata["signature"], metadata["qualname"]
    if kind in ("topic", "section"):
        heading = str(metadata["title"]).rpartition(" › ")[2]
        return f"{signature or metadata['file']} {heading}"
    parent = qualname.rpartition(".")[0]
    return f"{parent}.{signature}" if parent and signature else signature or qualname


def body_of(text: str, metadata: dict[str, Any]) -> str:
    """An entry's text without the heading that every piece of a passage is given."""
    heading = metadata.get("title") or metadata["qualname"]
    return text.removeprefix(f"{heading}\n\n")


def as_where(conditions: Sequence[Condition]) -> dict[str, Any] | None:
    """Conditions in the filter language that Vicinal and its LangChain store share."""
    names = {"==": "$eq", "!=": "$ne", "<=": "$lte", ">=": "$gte", "in": "$in"}
    clauses = [
        {c.key: {names[c.operator]: list(c.value) if isinstance(c.value, tuple) else c.value}}
        for c in conditions
    ]
    return {"$and": clauses} if len(clauses) > 1 else clauses[0] if clauses else None


def as_metadata_filters(conditions: Sequence[Condition]) -> MetadataFilters | None:
    """Conditions in LlamaIndex's filter language."""
    if not conditions:
        return None
    return MetadataFilters(
        filters=[
            MetadataFilter(
                key=c.key,
                operator=FilterOperator(c.operator),
                value=list(c.value) if isinstance(c.value, tuple) else c.value,
            )
            for c in conditions
        ]
    )


def _numbered_node(number: int, scored: NodeWithScore) -> NodeWithScore:
    node = scored.node.model_copy()
    assert isinstance(node, TextNode)
    node.text = numbered(number, name_of(node.metadata), body_of(node.text, node.metadata))
    node.excluded_llm_metadata_keys = list(node.metadata)  # the name says what the model must know
    return NodeWithScore(node=node, score=scored.score)


def _found(scored: NodeWithScore) -> Found:
    node = scored.node
    assert isinstance(node, TextNode)
    _, _, body = node.text.partition("\n")  # the number and name that NumberedEntries put before it
    return Found(node.node_id, float(scored.score or 0.0), body, dict(node.metadata))
