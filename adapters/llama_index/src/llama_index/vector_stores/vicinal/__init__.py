"""LlamaIndex on Vicinal: a vector store that lives inside the process, with every filter there is.

    store = VicinalVectorStore(path="./data")
    index = VectorStoreIndex.from_documents(
        documents, storage_context=StorageContext.from_defaults(vector_store=store)
    )
"""

from llama_index.vector_stores.vicinal.base import VicinalVectorStore

__all__ = ["VicinalVectorStore"]
