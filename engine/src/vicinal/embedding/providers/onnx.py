"""How is text embedded by all-MiniLM-L6-v2 as an ONNX file, without PyTorch?

With onnxruntime and tokenizers, from a directory that holds `model.onnx` and `tokenizer.json`. Nothing
is downloaded. Where Chroma was used before, its copy in ~/.cache/chroma is found and used: vectors are
then those of Chroma's default function. Any BERT-like model with mean pooling works the same way.
Source of the pooling: https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from vicinal._optional import package
from vicinal.embedding.providers._base import Provider
from vicinal.errors import EmbeddingFunctionError
from vicinal.types import Documents, Vector

CHROMAS_COPY = Path("~/.cache/chroma/onnx_models/all-MiniLM-L6-v2/onnx")
_TOKENS_MAX = 256  # what sentence-transformers cuts texts to for this model
_BATCH = 32


class ONNXMiniLM_L6_V2(Provider[Documents]):  # noqa: N801 - Chroma's name
    """all-MiniLM-L6-v2 (384 dimensions, unit length) from a directory. Needs `vicinal[onnx]`.

    Args:
        preferred_providers: onnxruntime's execution providers; the processor unless given.
        path: The directory with `model.onnx` and `tokenizer.json`; Chroma's copy unless given.
    """

    remembered = ("preferred_providers", "path")
    config_may_differ = frozenset({"preferred_providers", "path"})

    def __init__(
        self, preferred_providers: Sequence[str] | None = None, path: str | Path | None = None
    ) -> None:
        feature = "ONNXMiniLM_L6_V2"
        self._runtime = package("onnxruntime", name="onnxruntime", extra="onnx", feature=feature)
        self._tokenizers = package("tokenizers", name="tokenizers", extra="onnx", feature=feature)
        self.preferred_providers = None if preferred_providers is None else list(preferred_providers)
        self.path = None if path is None else str(path)

    def __call__(self, input: Documents) -> list[Vector]:
        vectors: list[Vector] = []
        for start in range(0, len(input), _BATCH):
            vectors += list(self._embed(list(input[start : start + _BATCH])))
        return vectors

    def _embed(self, texts: list[str]) -> Vector:
        encoded = self._tokenizer.encode_batch(texts)
        ids = np.array([item.ids for item in encoded], dtype=np.int64)
        mask = np.array([item.attention_mask for item in encoded], dtype=np.int64)
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        wanted = {item.name for item in self._session.get_inputs()}
        tokens = self._session.run(None, {k: v for k, v in inputs.items() if k in wanted})[0]
        weights = mask[:, :, None].astype(np.float32)
        means = (tokens * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-9)
        lengths = np.linalg.norm(means, axis=1, keepdims=True)
        unit = np.divide(means, lengths, out=np.zeros_like(means), where=lengths > 0)
        return np.asarray(unit, dtype=np.float32)

    @cached_property
    def _tokenizer(self) -> Any:
        tokenizer = self._tokenizers.Tokenizer.from_file(str(self._file("tokenizer.json")))
        tokenizer.enable_truncation(max_length=_TOKENS_MAX)
        tokenizer.enable_padding()
        return tokenizer

    @cached_property
    def _session(self) -> Any:
        options = self._runtime.SessionOptions()
        options.log_severity_level = 3
        providers = self.preferred_providers or ["CPUExecutionProvider"]
        return self._runtime.InferenceSession(
            str(self._file("model.onnx")), sess_options=options, providers=providers
        )

    def _file(self, name: str) -> Path:
        folder = Path(self.path or CHROMAS_COPY).expanduser()
        for found in (folder / name, folder / "onnx" / name):  # the second as on the hub
            if found.is_file():
                return found
        raise EmbeddingFunctionError(
            f"{folder} has no {name}, and nothing is downloaded. Copy the files "
            "model.onnx and tokenizer.json of sentence-transformers/all-MiniLM-L6-v2 into one directory, "
            "and pass it as path=..."
        )

    @staticmethod
    def name() -> str:
        return "onnx_mini_lm_l6_v2"
