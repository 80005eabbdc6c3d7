"""Who writes the answer: a configured model, or the extractive reader?

A model is configured by the environment, for any OpenAI-compatible endpoint:

    OPENAI_API_KEY                      the key; a local endpoint may need none
    OPENAI_BASE_URL                     where the endpoint is; OpenAI's own unless given
    VICINAL_DEMO_MODEL or OPENAI_MODEL  which model; `DEFAULT_MODEL` unless given

Without key and address nothing is sent anywhere and `reader.py` answers, as a LangChain chat model
and as a LlamaIndex LLM, in the very places where a language model would stand.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, SimpleChatModel
from langchain_core.messages import BaseMessage
from llama_index.core.llms import CompletionResponse, CompletionResponseGen, CustomLLM, LLMMetadata
from llama_index.core.llms.llm import LLM

from . import reader
from .reader import ExtractiveReader

DEFAULT_MODEL = "gpt-4o-mini"
# The context that every endpoint of the last years offers; with `asking.K` entries, each an
# `entries.PIECE_CHARS` at most, the demo's prompts need a fifth of it. With more, LlamaIndex sends the model
# several prompts, a context full each.
CONTEXT_TOKENS = 8192
# The reader takes a prompt of any length, and has to: it knows no entry without the line that numbers it.
READER_CONTEXT_TOKENS = 1_000_000_000


class ModelError(RuntimeError):
    """The configured model cannot be used. The message says why and how to go on without it."""


@dataclass(frozen=True)
class Endpoint:
    """A configured OpenAI-compatible model."""

    model: str
    key: str
    base_url: str | None

    def __str__(self) -> str:
        return f"{self.model} at {self.base_url or 'the OpenAI API'}"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Endpoint | None:
        """The endpoint that the environment names, or None."""
        key, base_url = environment.get("OPENAI_API_KEY"), environment.get("OPENAI_BASE_URL")
        if not key and not base_url:
            return None
        model = environment.get("VICINAL_DEMO_MODEL") or environment.get("OPENAI_MODEL") or DEFAULT_MODEL
        return cls(model, key or "none", base_url or None)


@dataclass(frozen=True)
class Answerer:
    """The same writer of answers, for LangChain and for LlamaIndex."""

    name: str
    chat_model: BaseChatModel
    llm: LLM
    errors: tuple[type[Exception], ...] = ()
    """What either raises when the endpoint fails."""


def answerer(environment: Mapping[str, str], embed: reader.Embed) -> Answerer:
    """The model that the environment names, otherwise the extractive reader.

    Raises:
        ModelError: A model is configured, and the packages that speak to it are not installed.
    """
    endpoint = Endpoint.from_environment(environment)
    if endpoint is not None:
        chat_model, llm = _langchain_model(endpoint), _llama_index_model(endpoint)
        openai = _imported("openai", "openai", endpoint)
        return Answerer(str(endpoint), chat_model, llm, errors=(openai.OpenAIError,))
    extractive = ExtractiveReader(embed)
    return Answerer(reader.NAME, ReaderChatModel(reader=extractive), ReaderLLM(reader=extractive))


class ReaderChatModel(SimpleChatModel):
    """The extractive reader as a LangChain chat model."""

    reader: ExtractiveReader

    @property
    def _llm_type(self) -> str:
        return "extractive-reader"

    def _call(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> str:
        return self.reader.answer(str(messages[-1].content))


class ReaderLLM(CustomLLM):
    """The extractive reader as a LlamaIndex LLM."""

    reader: ExtractiveReader

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="extractive-reader", context_window=READER_CONTEXT_TOKENS)

    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:  # noqa: ARG002
        return CompletionResponse(text=self.reader.answer(prompt))

    def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponseGen:
        answer = self.complete(prompt, formatted)
        answer.delta = answer.text
        yield answer


def _langchain_model(endpoint: Endpoint) -> BaseChatModel:
    module = _imported("langchain_openai", "langchain-openai", endpoint)
    model: BaseChatModel = module.ChatOpenAI(
        model=endpoint.model, api_key=endpoint.key, base_url=endpoint.base_url, temperature=0
    )
    return model


def _llama_index_model(endpoint: Endpoint) -> LLM:
    module = _imported("llama_index.llms.openai_like", "llama-index-llms-openai-like", endpoint)
    base_url = {"api_base": endpoint.base_url} if endpoint.base_url else {}
    model: LLM = module.OpenAILike(
        model=endpoint.model,
        api_key=endpoint.key,
        temperature=0,
        is_chat_model=True,
        context_window=CONTEXT_TOKENS,
        **base_url,
    )
    return model


def _imported(module: str, package: str, endpoint: Endpoint) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ModelError(
            f"The environment names a model ({endpoint}), and {package}, which speaks to it, is missing: "
            f"{sys.executable} -m pip install {package}. With --reader the demo answers without a model."
        ) from error
