"""How is text embedded by Google, with a Gemini key or through Vertex AI?

Through the package google-genai. A request holds up to 100 texts; of a Gemini model on Vertex AI, one.
Source: https://ai.google.dev/gemini-api/docs/embeddings
"""

from __future__ import annotations

from typing import Any, ClassVar

from vicinal._optional import package
from vicinal.embedding.providers._base import TIMEOUT_S, Provider, batches, embedded, secret
from vicinal.errors import EmbeddingFunctionError
from vicinal.types import Documents, Vector

_TEXTS_MAX = 100
_BYTES_MAX = 80_000  # 20,000 tokens, what Vertex AI takes at once
_TRIES = 3


class GoogleGeminiEmbeddingFunction(Provider[Documents]):
    """Google's Gemini and Vertex AI models. Needs `vicinal[google]`.

    Args:
        model_name: The model.
        task_type: What the vectors are for, such as "RETRIEVAL_DOCUMENT" (queries are then embedded as
            "RETRIEVAL_QUERY") or "SEMANTIC_SIMILARITY".
        dimension: Shorter vectors.
        api_key_env_var: The variable that holds the key; if it is not set, `GOOGLE_API_KEY`.
        vertexai: Use Vertex AI with the credentials of the environment instead of a key.
        project, location: Vertex AI's.
        base_url: Another address of the same service.
    """

    remembered: ClassVar[tuple[str, ...]] = (
        "model_name",
        "api_key_env_var",
        "vertexai",
        "project",
        "location",
        "task_type",
        "dimension",
        "base_url",
    )
    config_may_differ = frozenset({"api_key_env_var", "vertexai", "project", "location", "base_url"})

    def __init__(
        self,
        model_name: str = "gemini-embedding-001",
        task_type: str | None = None,
        dimension: int | None = None,
        api_key_env_var: str | None = "GEMINI_API_KEY",
        vertexai: bool | None = None,
        project: str | None = None,
        location: str | None = None,
        base_url: str | None = None,
    ) -> None:
        feature = "GoogleGeminiEmbeddingFunction"
        genai = package("google.genai", name="google-genai", extra="google", feature=feature)
        self._types = genai.types
        self.model_name, self.task_type, self.dimension = model_name, task_type, dimension
        self.api_key_env_var, self.base_url = api_key_env_var, base_url
        self.vertexai, self.project, self.location = vertexai, project, location
        if not vertexai and api_key_env_var is None:
            raise EmbeddingFunctionError("api_key_env_var must be given unless vertexai is enabled")
        key = None if vertexai else secret(None, str(api_key_env_var), "GOOGLE_API_KEY")
        self._client = genai.Client(
            api_key=key,
            vertexai=vertexai,
            project=project,
            location=location,
            http_options=self._types.HttpOptions(
                base_url=base_url,
                timeout=TIMEOUT_S * 1_000,
                retry_options=self._types.HttpRetryOptions(attempts=_TRIES),
            ),
        )

    def __call__(self, input: Documents) -> list[Vector]:
        return self._embed(input, self.task_type)

    def embed_query(self, input: Documents) -> list[Vector]:
        asks = self.task_type == "RETRIEVAL_DOCUMENT"
        return self._embed(input, "RETRIEVAL_QUERY" if asks else self.task_type)

    def _embed(self, texts: Documents, task_type: str | None) -> list[Vector]:
        types = self._types
        config = types.EmbedContentConfig(task_type=task_type, output_dimensionality=self.dimension)

        def request(batch: list[str]) -> list[Any]:
            # Plain strings would be taken for the parts of one content by a multimodal model.
            contents = [types.Content(parts=[types.Part(text=text)]) for text in batch]
            answer = self._client.models.embed_content(
                model=self.model_name, contents=contents, config=config
            )
            return [embedding.values for embedding in answer.embeddings or ()]

        alone = self.vertexai and "gemini" in self.model_name
        return embedded(batches(texts, 1 if alone else _TEXTS_MAX, _BYTES_MAX), request)

    @staticmethod
    def name() -> str:
        return "google_gemini"


class GoogleGenerativeAiEmbeddingFunction(GoogleGeminiEmbeddingFunction):
    """Chroma's older name and arguments for the same, with `task_type` RETRIEVAL_DOCUMENT.

    The package google-generativeai, which Chroma used under this name, is no longer maintained; the
    requests are made by google-genai.
    """

    remembered = ("model_name", "api_key_env_var", "task_type", "dimension", "base_url")

    def __init__(
        self,
        api_key: str | None = None,
        model_name: str = "gemini-embedding-001",
        task_type: str = "RETRIEVAL_DOCUMENT",
        api_key_env_var: str = "GEMINI_API_KEY",
        dimension: int | None = None,
        base_url: str | None = None,
    ) -> None:
        if api_key is not None:
            raise EmbeddingFunctionError(
                f"Set {api_key_env_var} in the environment instead of passing api_key: it is not kept"
            )
        super().__init__(model_name, task_type, dimension, api_key_env_var, base_url=base_url)

    @staticmethod
    def name() -> str:
        return "google_generative_ai"
