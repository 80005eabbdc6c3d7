"""Pictures are stored, and found by pictures and by texts, when the model can embed them."""

import base64
from pathlib import Path

import pytest
from langchain_core.embeddings import Embeddings

from vicinal.errors import ArgumentTypeError, EmbeddingFunctionError


class Bright(Embeddings):
    """A picture is one byte of brightness; a text is bright or dark."""

    def embed_image(self, uris):
        return [self._vector(Path(uri).read_bytes()[0] / 255) for uri in uris]

    def embed_documents(self, texts):
        return [self._vector(float(text == "bright")) for text in texts]

    def embed_query(self, text):
        return self.embed_documents([text])[0]

    def _vector(self, brightness):
        return [brightness, 1 - brightness]


class BrightAsync(Bright):
    async def aembed_image(self, uris):
        return self.embed_image(uris)


@pytest.fixture(params=[Bright, BrightAsync])
def gallery(request, open_store):
    return open_store("directory", request.param())


@pytest.fixture
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for name, brightness in (("dark", 10), ("grey", 128), ("light", 250)):
        paths.append(folder / name)
        paths[-1].write_bytes(bytes([brightness]))
    return list(map(str, paths))


async def test_pictures_are_found_by_pictures_and_by_texts(gallery, pictures):
    ids = gallery.add_images(iter(pictures), [{"n": i} for i in range(3)], ["dark", "grey", "light"])
    assert ids == ["dark", "grey", "light"]
    assert [d.id for d in gallery.similarity_search_by_image(pictures[2], 2)] == ["light", "grey"]
    assert [d.id for d in await gallery.asimilarity_search_by_image(pictures[0], 1)] == ["dark"]
    assert gallery.similarity_search("bright", 1)[0].id == "light"
    assert gallery.similarity_search_by_image(pictures[2], 1, filter={"n": 0})[0].id == "dark"


async def test_relevance_is_largest_for_the_same_picture(gallery, pictures):
    names = ["dark", "grey", "light"]
    assert await gallery.aadd_images(pictures, [{"n": i} for i in range(3)], names) == names
    assert (gallery.get()["ids"], gallery.get()["metadatas"]) == (names, [{"n": i} for i in range(3)])
    hits = gallery.similarity_search_by_image_with_relevance_score(pictures[1], 3)
    assert hits[0][1] == pytest.approx(1.0)
    assert hits == await gallery.asimilarity_search_by_image_with_relevance_score(pictures[1], 3)


def test_a_record_holds_the_file_and_its_place(gallery, pictures):
    gallery.add_images([pictures[0], pictures[0]], ids=["a", "a"])
    found = gallery.get(include=("documents", "uris"))
    assert found["uris"] == [pictures[0]]
    assert base64.b64decode(found["documents"][0]) == b"\n"


async def test_no_pictures_are_no_error(gallery, store):
    assert gallery.add_images([]) == await store.aadd_images([]) == []


async def test_one_path_is_no_list_of_its_letters(gallery, pictures):
    for given in (pictures[0], Path(pictures[0])):
        with pytest.raises(ArgumentTypeError, match="Expected uris to be a list"):
            gallery.add_images(given)
        with pytest.raises(ArgumentTypeError, match="Expected uris to be a list"):
            await gallery.aadd_images(given)
    assert gallery.count() == 0


async def test_a_model_for_texts_says_so_and_nothing_is_written(store, pictures):
    for call in (store.add_images, lambda uris: store.similarity_search_by_image(uris[0])):
        with pytest.raises(EmbeddingFunctionError, match="VicinalEmbeddings embeds no pictures"):
            call(pictures)
    with pytest.raises(EmbeddingFunctionError, match="no embed_image"):
        await store.aadd_images(pictures)
    assert store.count() == 0


def test_a_file_that_is_missing_leaves_nothing(gallery, pictures):
    with pytest.raises(FileNotFoundError):
        gallery.add_images([pictures[0], pictures[0] + ".gone"])
    assert gallery.count() == 0


@pytest.mark.parametrize("options", [{"k": 1}, {"filter": {"n": 0}}, {"ids": ["grey"]}], ids=str)
async def test_what_a_search_is_given_counts_awaited_or_not(gallery, pictures, options):
    gallery.add_images(pictures, [{"n": i} for i in range(3)], ["dark", "grey", "light"])
    for name in ("similarity_search_by_image", "similarity_search_by_image_with_relevance_score"):
        search, awaited = getattr(gallery, name), getattr(gallery, f"a{name}")
        [found] = search(pictures[2], **options)
        assert await awaited(pictures[2], **options) == [found]
