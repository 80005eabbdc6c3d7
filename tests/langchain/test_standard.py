"""The store is what LangChain says a vector store is: in memory, on disk, and read again from disk."""

import pytest
from langchain_core.vectorstores import VectorStore
from langchain_tests.integration_tests import VectorStoreIntegrationTests


class TestInMemory(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, open_store) -> VectorStore:
        return open_store("memory", self.get_embeddings())


class TestInADirectory(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, open_store) -> VectorStore:
        return open_store("directory", self.get_embeddings())


class TestReopened(VectorStoreIntegrationTests):
    """Every call of the engine reads and writes a directory that was just closed and opened again."""

    @pytest.fixture
    def vectorstore(self, open_store) -> VectorStore:
        return open_store("reopened", self.get_embeddings())
