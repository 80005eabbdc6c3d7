"""How does LlamaIndex use Vicinal, the vector store that is already inside your process?

store = VicinalVectorStore(path="./data")
index = VectorStoreIndex.from_documents(
    documents, storage_context=StorageContext.from_defaults(vector_store=store)
)
"""

from llama_index.vector_stores.vicinal.base import VicinalVectorStore
from llama_index.vector_stores.vicinal.embedding import VicinalEmbedding

__all__ = ["VicinalEmbedding", "VicinalVectorStore"]
