"""Chroma's address of the loader of pictures, which lives in `vicinal.embedding`."""

from vicinal.embedding.images import DataLoader, ImageLoader

__all__ = ["DataLoader", "ImageLoader"]
