"""Chroma's place of what is in `vicinal.utils.embedding_functions`."""

from vicinal.utils.embedding_functions import ONNXMiniLM_L6_V2

__all__ = ["ONNXMiniLM_L6_V2"]
