"""LangChain's vector store on Vicinal, and what else LangChain keeps beside one.

Example:
    store = VicinalVectorStore(embedding, path="./data")
    store.add_texts(["hnswlib releases the GIL"], [{"lang": "en"}])
    store.similarity_search("threads in Python", k=3, filter={"lang": "en"})
"""

from langchain_vicinal.caches import VicinalCache, VicinalSemanticCache
from langchain_vicinal.embeddings import VicinalEmbeddings
from langchain_vicinal.records import VicinalRecordManager
from langchain_vicinal.self_query import VicinalTranslator
from langchain_vicinal.stores import VicinalByteStore
from langchain_vicinal.vectorstores import VicinalVectorStore

__all__ = [
    "VicinalByteStore",
    "VicinalCache",
    "VicinalEmbeddings",
    "VicinalRecordManager",
    "VicinalSemanticCache",
    "VicinalTranslator",
    "VicinalVectorStore",
]
