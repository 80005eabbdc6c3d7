"""Where do programs that were written for Chroma look for embedding functions and data loaders?

In `vicinal.utils.embedding_functions`, `vicinal.utils.data_loaders`, … as in Chroma's package. All of it
lives elsewhere; these modules only have Chroma's names.
"""

from vicinal.utils import embedding_functions

__all__ = ["embedding_functions"]
