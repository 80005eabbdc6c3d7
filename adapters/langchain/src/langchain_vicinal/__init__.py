"""LangChain's vector store on Vicinal.

Example:
    store = VicinalVectorStore(embedding, path="./data")
    store.add_texts(["hnswlib releases the GIL"], [{"lang": "en"}])
    store.similarity_search("threads in Python", k=3, filter={"lang": "en"})
"""

from langchain_vicinal.embeddings import VicinalEmbeddings
from langchain_vicinal.vectorstores import VicinalVectorStore

__all__ = ["VicinalEmbeddings", "VicinalVectorStore"]
