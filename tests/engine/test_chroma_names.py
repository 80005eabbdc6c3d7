"""What programs import from chromadb, they find under the same name in vicinal.

tests/chroma/test_names.py compares these lists with the installed chromadb.
"""

import importlib
import inspect
import subprocess
import sys

import pytest

import vicinal
from vicinal import errors

ERRORS = [
    "AuthorizationError",
    "BatchSizeExceededError",
    "ChromaAuthError",
    "ChromaError",
    "DuplicateIDError",
    "IDAlreadyExistsError",
    "InternalError",
    "InvalidArgumentError",
    "InvalidDimensionException",
    "InvalidHTTPVersion",
    "InvalidUUIDError",
    "NotFoundError",
    "QuotaError",
    "RateLimitError",
    "UniqueConstraintError",
    "VersionMismatchError",
]
RAISED = {
    "AuthorizationError",
    "ChromaError",
    "DuplicateIDError",
    "InternalError",
    "InvalidArgumentError",
    "InvalidDimensionException",
    "NotFoundError",
    "UniqueConstraintError",
    "VersionMismatchError",
}
FRONT_DOOR = [
    "Collection",
    "CollectionMetadata",
    "Documents",
    "EmbeddingFunction",
    "Embeddings",
    "GetResult",
    "IDs",
    "Include",
    "Metadata",
    "Metadatas",
    "QueryResult",
    "SparseEmbeddingFunction",
    "SparseVector",
    "SparseVectors",
    "URI",
    "URIs",
    "UpdateCollectionMetadata",
    "UpdateMetadata",
    "Where",
    "WhereDocument",
]
PLACES = {
    "api": ["ClientAPI", "AsyncClientAPI", "AdminAPI", "CreateCollectionConfiguration", "EmbeddingFunction"],
    "api.client": ["Client", "AdminClient", "SharedSystemClient"],
    "api.collection_configuration": [
        f"{verb}{kind}Configuration"
        for kind in ("Collection", "HNSW", "Spann")
        for verb in ("", "Create", "Update")
    ],
    "api.models.Collection": ["Collection"],
    "api.types": [
        *FRONT_DOOR[1:],
        "DataLoader",
        "DeleteResult",
        "Document",
        "Embeddable",
        "ID",
        "Image",
        "LiteralValue",
        "LogicalOperator",
        "OneOrMany",
        "OperatorExpression",
        "SearchResultRow",
        "WhereDocumentOperator",
        "WhereOperator",
    ],
    "config": ["Settings", "DEFAULT_TENANT", "DEFAULT_DATABASE"],
    "execution.expression": [
        *("Aggregate", "GroupBy", "K", "Key", "Knn", "Limit", "MinK", "Rrf"),
        *("Search", "SearchWhere", "Select"),
    ],
    "execution.expression.operator": [
        *("Aggregate", "GroupBy", "K", "Key", "Knn", "Limit", "MinK", "Rrf", "Select"),
    ],
    "execution.expression.plan": ["Search"],
    "types": [
        "LiteralValue",
        "LogicalOperator",
        "Metadata",
        "OperatorExpression",
        "UpdateMetadata",
        "Where",
        "WhereDocument",
        "WhereDocumentOperator",
        "WhereOperator",
    ],
    "utils.batch_utils": ["create_batches"],
    "utils.data_loaders": ["ImageLoader"],
    "utils.results": ["get_result_to_df", "query_result_to_dfs"],
}
FUNCTIONS = {
    "chroma_bm25_embedding_function": ["ChromaBm25EmbeddingFunction"],
    "chroma_langchain_embedding_function": ["ChromaLangchainEmbeddingFunction", "create_langchain_embedding"],
    "cohere_embedding_function": ["CohereEmbeddingFunction"],
    "google_embedding_function": ["GoogleGeminiEmbeddingFunction", "GoogleGenerativeAiEmbeddingFunction"],
    "huggingface_embedding_function": ["HuggingFaceEmbeddingFunction", "HuggingFaceEmbeddingServer"],
    "huggingface_sparse_embedding_function": ["HuggingFaceSparseEmbeddingFunction"],
    "jina_embedding_function": ["JinaEmbeddingFunction", "JinaQueryConfig"],
    "mistral_embedding_function": ["MistralEmbeddingFunction"],
    "ollama_embedding_function": ["OllamaEmbeddingFunction"],
    "onnx_mini_lm_l6_v2": ["ONNXMiniLM_L6_V2"],
    "open_clip_embedding_function": ["OpenCLIPEmbeddingFunction"],
    "openai_embedding_function": ["OpenAIEmbeddingFunction"],
    "sentence_transformer_embedding_function": ["SentenceTransformerEmbeddingFunction"],
    "voyageai_embedding_function": ["VoyageAIEmbeddingFunction"],
}
PLACES |= {f"utils.embedding_functions.{name}": classes for name, classes in FUNCTIONS.items()}
LOOKED_AT = """
import sys
import vicinal as chromadb
assert not any(name in sys.modules for name in ("vicinal.api", "vicinal.execution", "vicinal.utils"))
assert chromadb.utils.embedding_functions.OllamaEmbeddingFunction
assert chromadb.api.ClientAPI is chromadb.Client
assert chromadb.api.types.Documents == chromadb.Documents
assert chromadb.api.models.Collection.Collection is chromadb.Collection
assert chromadb.execution.expression.Search is chromadb.Search
assert not hasattr(chromadb, "telemetry")
"""


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_of_chroma_can_be_caught(name):
    assert issubclass(getattr(errors, name), errors.ChromaError)


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_that_is_never_raised_says_so_and_catches_nothing_of_ours(name):
    cls = getattr(errors, name)
    says_so = cls.__doc__.startswith("Never raised")
    assert (name not in RAISED) == says_so
    assert not (says_so and cls.__subclasses__())


@pytest.mark.parametrize("name", [name for name in ERRORS if name != "VersionMismatchError"])
def test_a_program_can_make_such_an_error_itself(name):
    error = getattr(errors, name)("boom")
    assert ("boom", "boom", None) == (str(error), error.message(), error.trace_id)


def test_a_taken_name_is_chromas_internal_error(client):
    client.create_collection("taken")
    other = client.create_collection("other")
    for call in (lambda: client.create_collection("taken"), lambda: other.modify(name="taken")):
        with pytest.raises(errors.InternalError, match="already exists"):
            call()


def test_a_taken_tenant_or_database_is_chromas_internal_error(client):
    for create in (client.create_tenant, client.create_database):
        create("taken")
        with pytest.raises(errors.InternalError, match="already exists"):
            create("taken")


def test_ids_twice_in_one_call_are_not_ids_that_exist_already(collection):
    with pytest.raises(errors.DuplicateIDError) as caught:
        collection.add(ids=["a", "a"], embeddings=[[1], [2]])
    assert not isinstance(caught.value, errors.IDAlreadyExistsError)


def test_no_failure_of_the_directory_is_an_internal_error():
    classes = [cls for cls in vars(errors).values() if inspect.isclass(cls) and issubclass(cls, Exception)]
    assert {errors.InternalError, errors.UniqueConstraintError} == {
        cls for cls in classes if issubclass(cls, errors.InternalError)
    }


def test_an_error_has_chromas_name_or_its_own():
    made = [
        errors.DuplicateIDError(ids=["a"]),
        errors.InvalidFilterError(path="where", problem="no good"),
        errors.MissingDependencyError(feature="Flying", package="wings", extra="air"),
    ]
    assert ["DuplicateID", "InvalidArgument", "MissingDependencyError"] == [error.name() for error in made]


@pytest.mark.parametrize("name", FRONT_DOOR)
def test_the_front_door_has_chromas_types(name):
    assert name in vicinal.__all__


@pytest.mark.parametrize("place", PLACES)
def test_a_name_is_where_chroma_has_it_and_means_what_it_means_elsewhere(place):
    module = importlib.import_module(f"vicinal.{place}")
    for name in PLACES[place]:
        homes = [home for home in (vicinal, vicinal.utils.embedding_functions) if hasattr(home, name)]
        assert [getattr(module, name)] * len(homes) == [getattr(home, name) for home in homes]


def test_chromas_packages_are_there_after_the_import_and_loaded_when_looked_at():
    done = subprocess.run([sys.executable, "-c", LOOKED_AT], capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)


def test_a_configuration_is_a_dictionary(client):
    from vicinal.api.collection_configuration import CreateCollectionConfiguration, CreateHNSWConfiguration

    given = CreateCollectionConfiguration(hnsw=CreateHNSWConfiguration(space="cosine"))
    made = client.create_collection("things", configuration=given, embedding_function=None)
    assert "cosine" == made.configuration["hnsw"]["space"]


def test_the_cache_that_chromas_clients_share_can_be_cleared():
    from vicinal.api.client import SharedSystemClient

    assert SharedSystemClient.clear_system_cache() is None


def test_base_classes_can_be_told_what_they_take_as_in_chroma():
    types = vicinal.api.types

    class Loader(types.DataLoader[types.Loadable]):
        def __call__(self, uris):
            return [None for _ in uris]

    class Ones(types.EmbeddingFunction[types.Embeddable]):
        def __call__(self, input):
            return [[1.0] for _ in input]

    class Terms(types.SparseEmbeddingFunction[types.Documents]):
        def __call__(self, input):
            return [types.SparseVector([1], [1.0]) for _ in input]

    assert [None] == Loader()(["a"])
    assert [[1.0]] == [vector.tolist() for vector in Ones()(["a"])]
    assert [types.SparseVector([1], [1.0])] == Terms().embed_query(["a"])
