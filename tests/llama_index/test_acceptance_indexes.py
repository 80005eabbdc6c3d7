"""The other indexes of LlamaIndex keep their vectors here too: summaries, graphs, images."""

import pytest
from llama_index.core import StorageContext, embeddings, get_response_synthesizer
from llama_index.core.graph_stores import SimplePropertyGraphStore
from llama_index.core.graph_stores.types import KG_NODES_KEY, KG_RELATIONS_KEY, EntityNode, Relation
from llama_index.core.indices import (
    DocumentSummaryIndex,
    MultiModalVectorStoreIndex,
    PropertyGraphIndex,
)
from llama_index.core.indices.property_graph import VectorContextRetriever
from llama_index.core.llms import MockLLM
from llama_index.core.schema import ImageNode, TextNode, TransformComponent
from PIL import Image

from llama_index.vector_stores.vicinal import VicinalVectorStore


def test_document_summaries_are_found_and_deleted(store, films, embedder):
    compact = get_response_synthesizer(llm=MockLLM(), response_mode="compact")
    index = DocumentSummaryIndex.from_documents(
        films,
        llm=MockLLM(),
        embed_model=embedder,
        response_synthesizer=compact,
        storage_context=StorageContext.from_defaults(vector_store=store),
    )
    retriever = index.as_retriever(retriever_mode="embedding", similarity_top_k=1)
    assert [found.node.ref_doc_id for found in retriever.retrieve("desert planet")] == ["dune"]
    index.delete_ref_doc("dune")
    assert sorted(n.ref_doc_id for n in store.get_nodes()) == ["alien", "brazil", "contact"]


class FilmsInPlaces(TransformComponent):
    """Every film is a node of the graph, in the place that its first tag names."""

    def __call__(self, nodes, **kwargs):
        for node in nodes:
            film = EntityNode(name=node.ref_doc_id, label="FILM")
            place = EntityNode(name=node.metadata["tags"][0], label="PLACE")
            node.metadata[KG_NODES_KEY] = [film, place]
            relation = Relation(label="IN", source_id=film.id, target_id=place.id)
            node.metadata[KG_RELATIONS_KEY] = [relation]
        return nodes


def test_a_property_graph_finds_its_entities(store, films, embedder):
    graph = SimplePropertyGraphStore()
    models = {"llm": MockLLM(), "embed_model": embedder, "kg_extractors": [FilmsInPlaces()]}
    PropertyGraphIndex.from_documents(
        films, vector_store=store, property_graph_store=graph, use_async=False, **models
    )
    retriever = VectorContextRetriever(
        graph, vector_store=store, embed_model=embedder, include_text=False, similarity_top_k=9
    )
    films_found = {found.text.split(" -> IN -> ")[0] for found in retriever.retrieve("dune")}
    assert films_found == {film.id_ for film in films}


@pytest.fixture
def images(tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    return [
        TextNode(id_="text", text="some words"),
        ImageNode(id_="image", text="a picture", image_path=str(tmp_path / "a.png")),
    ]


@pytest.mark.skipif(
    not hasattr(embeddings, "MockMultiModalEmbedding"), reason="older releases have no fake of one"
)
def test_a_multi_modal_index_keeps_text_and_images_in_two_stores(store, images, embedder):
    image_store = VicinalVectorStore("images")
    index = MultiModalVectorStoreIndex(
        images,
        storage_context=StorageContext.from_defaults(vector_store=store, image_store=image_store),
        embed_model=embedder,
        image_embed_model=embeddings.MockMultiModalEmbedding(embed_dim=8),
    )
    found = index.as_retriever(similarity_top_k=1, image_similarity_top_k=1)
    assert [each.node.node_id for each in found.text_retrieve("some words")] == ["text"]
    assert [type(each.node) for each in found.text_to_image_retrieve("words")] == [ImageNode]
    index.delete_ref_doc("image")
    assert image_store.get_nodes() == []
