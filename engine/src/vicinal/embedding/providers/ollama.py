"""How is text embedded by a local Ollama server?

Through the package ollama; the model must have been pulled: `ollama pull MODEL`.
Source: https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from vicinal._optional import package
from vicinal.embedding.providers._base import Provider, batches, embedded
from vicinal.types import Documents, Vector

_TEXTS_MAX = 256  # no limit of Ollama's: what a processor embeds well within the timeout


class OllamaEmbeddingFunction(Provider[Documents]):
    """Models that an Ollama server has. Needs `vicinal[ollama]`, and no key.

    Args:
        url: The server.
        model_name: The model, as `ollama list` shows it.
        timeout: Seconds that one request may take.
    """

    remembered = ("url", "model_name", "timeout")
    config_may_differ = frozenset({"url", "timeout"})

    def __init__(
        self,
        url: str = "http://localhost:11434",
        model_name: str = "chroma/all-minilm-l6-v2-f32",
        timeout: int = 60,
    ) -> None:
        ollama = package("ollama", name="ollama", extra="ollama", feature="OllamaEmbeddingFunction")
        self.url, self.model_name, self.timeout = url, model_name, timeout
        parts = urlsplit(url)
        # Older programs name the whole address of the endpoint.
        host = f"{parts.scheme}://{parts.netloc}" if parts.path.startswith("/api/embed") else url
        self._client = ollama.Client(host=host, timeout=timeout)

    def __call__(self, input: Documents) -> list[Vector]:
        return embedded(batches(input, _TEXTS_MAX), self._request)

    def _request(self, texts: list[str]) -> Sequence[Any]:
        vectors: Sequence[Any] = self._client.embed(model=self.model_name, input=texts).embeddings
        return vectors

    @staticmethod
    def name() -> str:
        return "ollama"
