"""How do texts and pictures get into one space, on this machine?

Through OpenCLIP (the package open-clip-torch, which brings PyTorch). A checkpoint is a file, or a name
of OpenCLIP's list, which the package downloads on first use.
Source: https://github.com/mlfoundations/open_clip
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vicinal._optional import package
from vicinal.embedding.images import pillow_image, rgb
from vicinal.embedding.providers._base import Provider
from vicinal.types import Embeddable, Vector

_BATCH = 32


class OpenCLIPEmbeddingFunction(Provider[Embeddable]):
    """A CLIP model: a text is near the pictures that it describes. Needs `vicinal[open-clip]`.

    Args:
        model_name: The architecture.
        checkpoint: The weights: a file, or a name from `open_clip.list_pretrained()`.
        device: Where it runs: "cpu", "cuda", "mps".
    """

    remembered = ("model_name", "checkpoint", "device")
    config_may_differ = frozenset({"device"})
    config_paths = frozenset({"checkpoint"})

    def __init__(
        self,
        model_name: str = "ViT-B-32",
        checkpoint: str = "laion2b_s34b_b79k",
        device: str = "cpu",
    ) -> None:
        feature = "OpenCLIPEmbeddingFunction"
        open_clip = package("open_clip", name="open-clip-torch", extra="open-clip", feature=feature)
        self._torch = package("torch", name="torch", extra="open-clip", feature=feature)
        self.model_name, self.checkpoint, self.device = model_name, checkpoint, device
        model, _, self._prepare = open_clip.create_model_and_transforms(model_name, pretrained=checkpoint)
        self._model = model.to(device).eval()
        self._tokenize = open_clip.get_tokenizer(model_name)

    def __call__(self, input: Embeddable) -> list[Vector]:
        vectors: list[Vector] = []
        for start in range(0, len(input), _BATCH):
            vectors += self._embed(list(input[start : start + _BATCH]))
        return vectors

    def _embed(self, items: list[Any]) -> list[Vector]:
        """Vectors of unit length for texts and pictures, in any mixture."""
        texts = [i for i, item in enumerate(items) if isinstance(item, str)]
        pictures = [i for i, item in enumerate(items) if not isinstance(item, str)]
        answer: dict[int, Vector] = {}
        with self._torch.no_grad():
            if texts:
                tokens = self._tokenize([items[i] for i in texts]).to(self.device)
                answer |= zip(texts, self._unit(self._model.encode_text(tokens)))
            if pictures:
                fromarray = pillow_image().fromarray
                pixels = self._torch.stack([self._prepare(fromarray(rgb(items[i]))) for i in pictures])
                answer |= zip(pictures, self._unit(self._model.encode_image(pixels.to(self.device))))
        return [answer[i] for i in range(len(items))]

    def _unit(self, features: Any) -> list[Vector]:
        unit = features / features.norm(dim=-1, keepdim=True)
        return list(unit.cpu().numpy().astype(np.float32))

    def supports_images(self) -> bool | None:
        return True

    @staticmethod
    def name() -> str:
        return "open_clip"
