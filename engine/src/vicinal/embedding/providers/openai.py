"""How is text embedded by OpenAI, by Azure, or by a server that speaks OpenAI's protocol?

Through the package openai, which waits and tries again by itself. A request holds up to 2,048 texts and
300,000 tokens. Source: https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

from typing import Any

from vicinal._optional import package
from vicinal.embedding.providers._base import Provider, batches, embedded, in_order, secret
from vicinal.errors import EmbeddingFunctionError
from vicinal.types import Documents, Vector

_TEXTS_MAX = 2_048
_BYTES_MAX = 600_000  # 150,000 tokens of English; in no script are there more tokens than 2 bytes each


class OpenAIEmbeddingFunction(Provider[Documents]):
    """OpenAI's models, Azure's, and any server with the same protocol (vLLM, LM Studio, llama.cpp, …).

    Needs `vicinal[openai]`.

    Args:
        api_key: The key, for this process only; better left in the environment.
        model_name: The model.
        organization_id: The organization that is billed, if there are several.
        api_base: Another server, such as "http://localhost:8000/v1"; Azure's endpoint.
        api_type: "azure" for Azure, which then needs `api_base`, `api_version` and `deployment_id`.
        api_version, deployment_id: Azure's.
        default_headers: Headers of every request; not remembered, as they often hold secrets.
        dimensions: Shorter vectors, of the models that offer them.
        api_key_env_var: The variable that holds the key; if it is not set, `OPENAI_API_KEY`.
    """

    remembered = (
        "api_key_env_var",
        "model_name",
        "organization_id",
        "api_base",
        "api_type",
        "api_version",
        "deployment_id",
        "dimensions",
    )
    accepted = ("default_headers",)  # Chroma stores them
    config_may_differ = frozenset(
        {"api_key_env_var", "organization_id", "api_base", "api_version", "default_headers"}
    )

    def __init__(
        self,
        api_key: str | None = None,
        model_name: str = "text-embedding-ada-002",
        organization_id: str | None = None,
        api_base: str | None = None,
        api_type: str | None = None,
        api_version: str | None = None,
        deployment_id: str | None = None,
        default_headers: dict[str, str] | None = None,
        dimensions: int | None = None,
        api_key_env_var: str = "CHROMA_OPENAI_API_KEY",
    ) -> None:
        openai = package("openai", name="openai", extra="openai", feature="OpenAIEmbeddingFunction")
        self.model_name, self.dimensions = model_name, dimensions
        self.organization_id, self.api_base = organization_id, api_base
        self.api_type, self.api_version, self.deployment_id = api_type, api_version, deployment_id
        self.api_key_env_var = api_key_env_var
        key = secret(api_key, api_key_env_var, "OPENAI_API_KEY")
        common = {"api_key": key, "organization": organization_id, "default_headers": default_headers}
        if api_type == "azure":
            for name in ("api_version", "deployment_id", "api_base"):
                if getattr(self, name) is None:
                    raise EmbeddingFunctionError(f"{name} must be specified for Azure OpenAI")
            self._client = openai.AzureOpenAI(
                **common,
                api_version=api_version,
                azure_endpoint=api_base,
                azure_deployment=deployment_id,
            )
        else:
            self._client = openai.OpenAI(**common, base_url=api_base)

    def __call__(self, input: Documents) -> list[Vector]:
        return embedded(batches(input, _TEXTS_MAX, _BYTES_MAX), self._request)

    def _request(self, texts: list[str]) -> list[list[float]]:
        options: dict[str, Any] = {} if self.dimensions is None else {"dimensions": self.dimensions}
        if self.api_base is not None:
            options["encoding_format"] = "float"  # the package asks for base64, which not every server knows
        answer = self._client.embeddings.create(model=self.model_name, input=texts, **options)
        indices = [getattr(item, "index", None) for item in answer.data]
        return [item.embedding for item in in_order(answer.data, indices)]

    @staticmethod
    def name() -> str:
        return "openai"
