"""Has a language model answered this before?

`VicinalCache` knows a prompt again when it is the same, `VicinalSemanticCache` also when it is similar.
Both keep their answers in the same directory or client as the vectors. Answers are JSON: what is read
back are LangChain's own message and generation classes, in which bytes have become text, and nothing is ever
executed. Bytes that are no UTF-8 are refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from numbers import Real
from typing import Any

from langchain_core.caches import RETURN_VAL_TYPE, BaseCache
from langchain_core.embeddings import Embeddings
from langchain_core.messages import message_to_dict, messages_from_dict
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk
from langchain_core.runnables.config import run_in_executor
from pydantic_core import to_jsonable_python

import vicinal
from langchain_vicinal._connect import Directory, check_embedding
from langchain_vicinal._keyed import Keyed
from vicinal.errors import ArgumentTypeError, InvalidArgumentError, shown


class VicinalCache(Keyed, BaseCache):
    """A cache of a language model's answers: `set_llm_cache(VicinalCache(path="./data"))`.

    Args:
        collection_name: The collection, made if it does not exist. It holds nothing else.
        path: A directory; several caches and processes may share it.
        client: A client of Vicinal's, in place of `path`. With neither, the cache is in memory.
    """

    def __init__(
        self,
        collection_name: str = "langchain-cache",
        *,
        path: Directory | None = None,
        client: vicinal.Client | None = None,
    ) -> None:
        """Open or make the collection."""
        super().__init__(collection_name, path, client)

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """The answer to this prompt by the same model with the same settings, or None."""
        found = self.collection.get([_digest(prompt, llm_string)], include=["documents"])["documents"]
        return _generations(found[0]) if found else None

    async def alookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """Async `lookup`."""
        return await run_in_executor(None, self.lookup, prompt, llm_string)

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Remember an answer, in place of an earlier one to the same prompt."""
        self._write([_digest(prompt, llm_string)], [_text(return_val)])

    async def aupdate(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Async `update`."""
        await run_in_executor(None, self.update, prompt, llm_string, return_val)

    def clear(self, **kwargs: Any) -> None:
        """Forget every answer."""
        self._clear()

    async def aclear(self, **kwargs: Any) -> None:
        """Async `clear`."""
        await run_in_executor(None, self.clear)


class VicinalSemanticCache(VicinalCache):
    """A cache that also answers a prompt that is similar to an earlier one.

    The same prompt is found without embedding. Otherwise the nearest prompt to the same model with the
    same settings counts, if its cosine similarity is at least `score_threshold`. Of a chat, the text of
    the last message is compared; all else, earlier messages and images too, must be equal.

    Args:
        embedding: The model that says what is similar; it embeds every prompt as a query. One collection
            belongs to one model.
        score_threshold: From 0 to 1. What counts as similar depends on the embedding model: try it on
            pairs of prompts of yours, those that must not be mixed up above all.
        collection_name, path, client: As for `VicinalCache`.
    """

    def __init__(
        self,
        embedding: Embeddings,
        score_threshold: float = 0.95,
        *,
        collection_name: str = "langchain-semantic-cache",
        path: Directory | None = None,
        client: vicinal.Client | None = None,
    ) -> None:
        """Open or make the collection."""
        checked = check_embedding(embedding)
        if checked is None:
            raise ArgumentTypeError(argument="embedding", expected="a LangChain Embeddings object", got=None)
        _check_threshold(score_threshold)
        self._embedding, self.score_threshold = checked, score_threshold
        super().__init__(collection_name, path=path, client=client)

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """The answer to this or the most similar prompt, or None."""
        same = super().lookup(prompt, llm_string)
        if same is not None:
            return same
        text, context = _split(prompt)
        return self._similar(self._embedding.embed_query(text), _digest(context, llm_string))

    async def alookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """Async `lookup`."""
        same = await run_in_executor(None, super().lookup, prompt, llm_string)
        if same is not None:
            return same
        text, context = _split(prompt)
        vector = await self._embedding.aembed_query(text)
        return await run_in_executor(None, self._similar, vector, _digest(context, llm_string))

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Remember an answer, in place of an earlier one to the same prompt."""
        self._remember(self._embedding.embed_query(_split(prompt)[0]), prompt, llm_string, return_val)

    async def aupdate(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Async `update`."""
        vector = await self._embedding.aembed_query(_split(prompt)[0])
        await run_in_executor(None, self._remember, vector, prompt, llm_string, return_val)

    def _similar(self, vector: Any, context: str) -> RETURN_VAL_TYPE | None:
        found = self.collection.query([vector], n_results=1, where={"context": context})
        texts, distances = found["documents"][0], found["distances"][0]
        if not texts or 1.0 - distances[0] < self.score_threshold:
            return None
        return _generations(texts[0])

    def _remember(self, vector: Any, prompt: str, llm_string: str, answer: RETURN_VAL_TYPE) -> None:
        context = {"context": _digest(_split(prompt)[1], llm_string)}
        id = _digest(prompt, llm_string)
        self.collection.upsert([id], [vector], [context], [_text(answer)], merge_metadata=False)


def _check_threshold(given: Any) -> None:
    wanted = "a number from 0 to 1"
    if isinstance(given, bool) or not isinstance(given, Real):
        raise ArgumentTypeError(argument="score_threshold", expected=wanted, got=given)
    if not 0 <= given <= 1:  # type: ignore[operator]  # typeshed gives Real no order with int
        raise InvalidArgumentError(f"score_threshold: expected {wanted}, got {shown(given)}")


# --- prompts -----------------------------------------------------------------------------------


def _digest(*texts: str) -> str:
    return hashlib.blake2b(json.dumps(texts).encode(), digest_size=16).hexdigest()


def _split(prompt: str) -> tuple[str, str]:
    """The text that is compared by meaning, and what must be equal.

    A chat model's prompt is the JSON of its messages, each {"lc": 1, …, "kwargs": {"content": …}}; a
    content is a text or a list of parts, some of which are texts.
    """
    try:
        messages = json.loads(prompt)
        last = messages[-1]["kwargs"]
        parts = last["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return prompt, ""
    if isinstance(parts, str):
        parts = last["content"] = [{"type": "text", "text": parts}]
    if not isinstance(parts, list):
        return prompt, ""
    texts = [part.pop("text") for part in parts if _is_text(part)]
    return "\n".join(texts) or "(no text)", json.dumps(messages, sort_keys=True)


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)


# --- answers -----------------------------------------------------------------------------------

_KINDS = {kind.__name__: kind for kind in (Generation, GenerationChunk, ChatGeneration, ChatGenerationChunk)}


def _text(answer: Sequence[Generation]) -> str:
    """JSON in ASCII: a model may break off within an emoji, and half of one is no text but in escapes."""
    try:
        plain = to_jsonable_python([_plain(generation) for generation in answer], inf_nan_mode="constants")
    except ValueError as error:  # of pydantic_core's errors, too
        raise InvalidArgumentError(f"this answer cannot be written as JSON: {error}") from None
    return json.dumps(plain)


def _plain(generation: Generation) -> dict[str, Any]:
    kind = next(base.__name__ for base in type(generation).__mro__ if base.__name__ in _KINDS)
    plain: dict[str, Any] = {"kind": kind, "generation_info": generation.generation_info}
    if isinstance(generation, ChatGeneration):
        return {**plain, "message": message_to_dict(generation.message)}
    return {**plain, "text": generation.text}


def _generations(text: str) -> list[Generation]:
    return [_generation(**plain) for plain in json.loads(text)]


def _generation(kind: str, **fields: Any) -> Generation:
    if "message" in fields:
        [fields["message"]] = messages_from_dict([fields["message"]])
    made: Generation = _KINDS[kind](**fields)
    return made
