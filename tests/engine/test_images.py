"""Pictures are read from files as they look, and found by what they look like."""

import base64
import io
import json
import struct

import numpy as np
import pytest

from vicinal.embedding import (
    ColorShapeEmbeddingFunction,
    DataLoader,
    EmbeddingFunction,
    ImageLoader,
    image_column,
    supports_images,
)
from vicinal.embedding.color_shape import COLOURS, SHAPES
from vicinal.embedding.images import data_uri, rgb
from vicinal.embedding.protocol import embed
from vicinal.embedding.registry import build, describe
from vicinal.errors import ArgumentTypeError, EmbeddingFunctionError, InvalidArgumentError
from vicinal.utils import data_loaders

Image = pytest.importorskip("PIL.Image")

RED, BLUE, WHITE = (210, 40, 40), (40, 90, 200), (245, 245, 245)


def drawn(shape: str, colour=RED, size: float = 50, at=(120, 90), turn: float = 0.0, background=WHITE):
    """A picture of 240 × 180 pixels with one shape in it."""
    y, x = np.mgrid[0:180, 0:240]
    across, down = x - at[0], y - at[1]
    u = (across * np.cos(turn) + down * np.sin(turn)) / size
    v = (down * np.cos(turn) - across * np.sin(turn)) / size
    picture = np.full((180, 240, 3), background, np.uint8)
    picture[SHAPES[shape](u, v)] = colour
    return picture


def raises(error):
    def raising(*_):
        raise error("broken")

    return raising


@pytest.fixture
def saved(tmp_path):
    """`saved(image, "a.png")` writes a picture and returns its path."""

    def save(image, name="a.png", **options):
        image = image if hasattr(image, "save") else Image.fromarray(image)
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return save


# --- reading files ----------------------------------------------------------------------------


def test_a_picture_is_read_from_a_path_and_from_a_file_uri(saved):
    picture = drawn("circle")
    path = saved(picture, "a picture é.png")
    uris = [str(path), path.as_uri(), path.as_uri().replace("file://", "file://localhost")]
    assert all(np.array_equal(picture, found) for found in ImageLoader()(uris))


def test_a_uri_that_is_none_is_no_picture(saved):
    found = ImageLoader(max_workers=1)([None, str(saved(drawn("circle")))])
    assert (None, (180, 240, 3)) == (found[0], found[1].shape)


def test_no_uris_are_no_pictures():
    assert [] == ImageLoader()([])


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I", "I;16"])
def test_every_kind_of_picture_comes_as_rgb(saved, mode):
    name = "a.tif" if mode in ("CMYK", "I") else "a.png"
    (found,) = ImageLoader()([str(saved(Image.new(mode, (4, 3)), name))])
    assert ((3, 4, 3), np.uint8) == (found.shape, found.dtype)


@pytest.mark.parametrize(
    ("picture", "options"),
    [
        (Image.new("RGBA", (2, 2), (0, 0, 0, 0)), {}),
        (Image.new("LA", (2, 2), (0, 0)), {}),
        (Image.new("P", (2, 2), 0), {"transparency": 0}),
        (Image.new("RGB", (2, 2), (0, 0, 0)), {"transparency": (0, 0, 0)}),
    ],
)
def test_what_is_transparent_lies_on_white(saved, picture, options):
    (found,) = ImageLoader()([str(saved(picture, **options))])
    assert {255} == set(found.ravel().tolist())


def test_a_picture_that_would_fill_the_memory_is_refused(saved, monkeypatch):
    path = str(saved(Image.new("L", (9, 9))))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    with pytest.raises(InvalidArgumentError, match=r"cannot be read as a picture.* decompression bomb"):
        ImageLoader()([path])


def test_sixteen_bits_are_scaled_to_eight(saved):
    shades = np.array([[0, 257 * 100, 65535]], np.uint16)
    (found,) = ImageLoader()([str(saved(shades))])
    assert [0, 100, 255] == found[0, :, 0].tolist()


def test_sixteen_dark_bits_stay_dark(saved):
    (found,) = ImageLoader()([str(saved(np.array([[0, 256]], np.uint16)))])
    assert [0, 1] == found[0, :, 0].tolist()


def test_a_photograph_stands_upright(saved):
    image = Image.new("RGB", (4, 2))
    exif = image.getexif()
    exif[0x0112] = 6  # turned by 90 degrees
    (found,) = ImageLoader()([str(saved(image, "a.jpg", exif=exif))])
    assert (4, 2, 3) == found.shape


def test_floats_of_0_to_1_are_read_as_shades(saved):
    (found,) = ImageLoader()([str(saved(np.array([[0, 0.5, 1]], np.float32), "a.tif"))])
    assert [0, 128, 255] == found[0, :, 0].tolist()


@pytest.mark.parametrize("raised", [RuntimeError, NotImplementedError, MemoryError, struct.error])
def test_whatever_pillow_raises_says_which_file(saved, monkeypatch, raised):
    path = saved(drawn("circle"))
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load_prepare", raises(raised))
    with pytest.raises(InvalidArgumentError, match=r"uris\[0\]: .*a\.png cannot be read as a picture"):
        ImageLoader()([str(path)])


@pytest.mark.parametrize(
    "uri",
    ["https://example.org/a.png", "http://x/a", "s3://bucket/a", "data:image/png;base64,", "file://h/a"],
)
def test_what_is_no_local_file_is_refused(uri):
    with pytest.raises(InvalidArgumentError, match=r"uris\[1\]: ImageLoader reads local files only"):
        ImageLoader()([None, uri])


@pytest.mark.parametrize("uri", ["file://[::1/a.png", "file://[x]/a.png"])
def test_what_is_no_uri_is_refused(uri):
    with pytest.raises(InvalidArgumentError, match=r"uris\[0\]: "):
        ImageLoader()([uri])


@pytest.mark.parametrize("content", [None, b"", b"no picture", b"\x89PNG\r\n\x1a\n cut off"])
def test_a_file_that_is_no_picture_says_which(tmp_path, content):
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidArgumentError, match=r"uris\[0\]: .*a\.png cannot be read as a picture"):
        ImageLoader()([str(path)])


def test_a_picture_cut_off_in_the_middle_is_refused(saved):
    path = saved(drawn("circle"))
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(InvalidArgumentError, match="cannot be read as a picture"):
        ImageLoader()([str(path)])


@pytest.mark.parametrize("uri", [5, b"a.png", ["a.png"]])
def test_a_uri_that_is_no_text_is_refused(uri):
    with pytest.raises(InvalidArgumentError, match="expected a path or a file:// URI"):
        ImageLoader()([uri])


def test_a_path_that_no_file_can_have_is_refused():
    with pytest.raises(InvalidArgumentError, match="cannot be read as a picture"):
        ImageLoader()(["a\0.png"])


def test_the_loader_needs_a_worker():
    with pytest.raises(InvalidArgumentError, match="at least 1, got 0"):
        ImageLoader(max_workers=0)


@pytest.mark.parametrize("workers", ["two", True, 1.5])
def test_a_number_of_workers_is_a_whole_number(workers):
    with pytest.raises(ArgumentTypeError, match="max_workers to be an int"):
        ImageLoader(max_workers=workers)


def test_a_number_of_workers_may_be_numpys():
    assert [] == ImageLoader(max_workers=np.int32(2))([])


def test_the_loader_is_where_chroma_has_it():
    assert data_loaders.ImageLoader is ImageLoader
    assert isinstance(ImageLoader(), DataLoader)


# --- pictures as arguments --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "count"),
    [
        (np.zeros((4, 5, 3), np.uint8), 1),
        (np.zeros((4, 5)), 1),
        ([np.zeros((4, 5, 3))], 1),
        ((np.zeros((4, 5)), np.zeros((2, 2, 4))), 2),
        (np.zeros((7, 4, 5, 3)), 7),
        (iter([np.zeros((4, 5, 3))]), 1),
        ([[[0, 1], [1, 0]]], 1),
        ([], 0),
        (Image.new("RGB", (5, 4)), 1),
        ([Image.new("L", (5, 4)), np.zeros((4, 5))], 2),
    ],
)
def test_pictures_may_be_given_in_every_form(given, count):
    found = image_column(given)
    assert (count, True) == (len(found), all(isinstance(image, np.ndarray) for image in found))


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "HSV", "RGBA", "RGBX"])
def test_pillows_images_are_given_as_they_look(mode):
    image = Image.fromarray(drawn("circle", colour=(255, 0, 0))).convert(mode)
    (found,) = image_column(image)
    assert np.uint8 == found.dtype
    assert np.array_equal(np.asarray(image.convert("RGB")), found)


def test_a_palette_with_transparency_lies_on_white():
    image = Image.new("P", (2, 2)).convert("PA")
    image.putalpha(0)
    assert {255} == set(image_column(image)[0].ravel().tolist())


def test_shades_of_lab_become_colours():
    image = Image.new("LAB", (1, 1), (255, 0, 0))  # paper white
    assert image.convert("RGB").getpixel((0, 0)) == tuple(image_column(image)[0][0, 0])


def test_a_picture_is_the_same_given_as_an_image_and_by_its_uri(saved):
    photograph = Image.fromarray(drawn("triangle"))
    exif = photograph.getexif()
    exif[0x0112] = 6
    for path in (
        saved(photograph, "a.jpg", exif=exif),
        saved(photograph.convert("P"), "b.png", transparency=0),
        saved(np.array([[0, 257 * 100, 65535]], np.uint16), "c.png"),
        saved(np.array([[0, 0.5, 1]], np.float32), "d.tif"),
    ):
        with Image.open(path) as opened:
            (found,) = image_column([opened])
        assert np.array_equal(ImageLoader()([str(path)])[0], found)


def test_an_image_that_pillow_cannot_read_is_refused(saved):
    path = saved(drawn("circle"))
    path.write_bytes(path.read_bytes()[:400])
    with Image.open(path) as opened, pytest.raises(InvalidArgumentError, match=r"images\[0\] cannot be read"):
        image_column(opened)


@pytest.mark.parametrize(
    "given",
    [
        "a.png",
        5,
        None,
        ["a.png"],
        [None],
        np.array(5),
        [np.zeros(3)],
        [np.zeros((2, 2, 5))],
        [np.zeros((0, 2, 3))],
        [[["a"]]],
    ],
)
def test_what_is_no_picture_is_refused(given):
    with pytest.raises(InvalidArgumentError, match="images"):
        image_column(given)


@pytest.mark.parametrize(
    ("given", "pixel"),
    [
        (np.full((1, 1), 7, np.uint8), [7, 7, 7]),
        (np.full((1, 1, 1), 7, np.int64), [7, 7, 7]),
        (np.full((1, 1, 3), 1.0), [255, 255, 255]),
        (np.full((1, 1, 3), 1), [1, 1, 1]),
        (np.full((1, 1, 3), 200.0), [200, 200, 200]),
        (np.full((1, 1, 3), [-5, 300, 7], np.int32), [0, 255, 7]),
        (np.full((1, 1), np.nan), [0, 0, 0]),
        (np.full((1, 1), np.inf), [255, 255, 255]),
        (np.full((1, 1), -np.inf), [0, 0, 0]),
        (Image.new("F", (1, 1), 0.4), [102, 102, 102]),
        (Image.new("I", (1, 1), 300), [1, 1, 1]),
        (np.full((1, 1), True), [255, 255, 255]),
        (np.full((1, 1, 4), [10, 20, 30, 255], np.uint8), [10, 20, 30]),
        (np.full((1, 1, 2), [10, 0], np.uint8), [255, 255, 255]),
    ],
)
def test_any_numbers_become_colours(given, pixel):
    assert pixel == rgb(given)[0, 0].tolist()


def test_a_picture_survives_being_sent_as_png():
    picture = drawn("star")
    sent = base64.b64decode(data_uri(picture).removeprefix("data:image/png;base64,"))
    assert np.array_equal(picture, np.asarray(Image.open(io.BytesIO(sent))))


# --- who embeds pictures ----------------------------------------------------------------------


class TextOnly(EmbeddingFunction):
    def __call__(self, input):
        return [[1.0] for _ in input]

    def supports_images(self):
        return False


def test_pictures_are_not_handed_to_a_function_for_text_only():
    with pytest.raises(EmbeddingFunctionError, match="TextOnly embeds text only, and images were given"):
        embed(TextOnly(), [drawn("circle")], query=False)


def test_a_function_that_does_not_say_is_handed_pictures():
    assert (1, 2) == embed(
        lambda images: [image.shape[:2] for image in images], [drawn("ring")], query=True
    ).shape


@pytest.mark.parametrize(
    ("function", "says"), [(TextOnly(), False), (ColorShapeEmbeddingFunction(), True), (len, None)]
)
def test_a_function_says_whether_it_embeds_pictures(function, says):
    assert says is supports_images(function)


# --- colour and shape -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def function() -> ColorShapeEmbeddingFunction:
    return ColorShapeEmbeddingFunction()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("colour", ["red", "green", "blue", "yellow"])
def test_a_shape_is_found_by_its_name_wherever_it_lies(function, shape, colour):
    words = [f"{c} {s}" for c in COLOURS for s in SHAPES]
    at, turn = (75 + 10 * len(shape), 80), 0.3 * len(colour)
    picture = drawn(shape, COLOURS[colour][0], 45 + 3 * len(colour), at, turn)
    nearest = words[int(np.argmax(function(words) @ function([picture])[0]))]
    assert f"{colour} {shape}" == nearest


def test_the_vectors_have_unit_length_and_named_components(function):
    vectors = function([drawn("ring"), "red", "circle", "blue star"])
    assert ((4, 21), 21) == (vectors.shape, len(function.axes))
    assert [1, 1, 1, 1] == pytest.approx(np.linalg.norm(vectors, axis=1).tolist())


def test_the_vectors_are_the_same_every_time():
    first, second = (ColorShapeEmbeddingFunction()([drawn("heart")]) for _ in range(2))
    assert np.array_equal(first, second)


def test_other_words_are_passed_over(function):
    same = function(["a red circle, please", "Red CIRCLES", "red circle"])
    assert np.array_equal(same[0], same[2])
    assert np.array_equal(same[1], same[2])


@pytest.mark.parametrize("text", ["", "nothing that it knows", "\0"])
def test_text_without_a_known_word_is_the_zero_vector(function, text):
    assert 0 == np.linalg.norm(function([text]))


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((1, 500), np.uint8),
        np.full((300, 2, 4), 9, np.uint8),
        np.random.default_rng(0).integers(0, 255, (90, 70, 3)),
        np.random.default_rng(0).random((64, 64)),
        drawn("circle", size=2),
    ],
)
def test_every_picture_has_a_vector(function, picture):
    assert 1 == pytest.approx(float(np.linalg.norm(function([picture]))))


def test_a_picture_without_a_background_is_its_colours(function):
    stripes = np.zeros((60, 60, 3), np.uint8)
    stripes[::2] = stripes[:, ::2] = RED
    stripes[:30] = BLUE
    seen = dict(zip(function.axes, function([stripes])[0]))
    assert (0, True) == (sum(seen[shape] for shape in SHAPES), seen["blue"] > 0.4)


def test_the_background_does_not_count(function):
    on_white, on_grey = function([drawn("star"), drawn("star", background=(60, 60, 60))])
    assert on_white @ on_grey > 0.95


def test_a_collection_remembers_the_function(function):
    assert ColorShapeEmbeddingFunction is type(build(json.loads(json.dumps(describe(function)))))


def test_a_collection_of_pictures_answers_a_picture_and_a_word(store):
    made = store.client.create_collection("pictures", embedding_function=ColorShapeEmbeddingFunction())
    pictures = {f"{c} {s}": drawn(s, COLOURS[c][0]) for c in ("red", "blue") for s in SHAPES}
    made.add(ids=list(pictures), images=list(pictures.values()))
    found = store.reopen(made)
    query = drawn("triangle", BLUE, 30, (60, 120), 1.0)
    assert [["blue triangle"]] == found.query(query_images=[query], n_results=1)["ids"]
    assert [["red heart"]] == found.query(query_texts=["red heart"], n_results=1)["ids"]


@pytest.mark.parametrize(
    "load",
    [ImageLoader(), lambda *, uris: ImageLoader()(uris), lambda paths: ImageLoader()(list(paths))],
    ids=["ours", "by name", "by position"],
)
def test_pictures_are_loaded_from_their_uris(store, saved, load):
    loader = {"embedding_function": ColorShapeEmbeddingFunction(), "data_loader": load}
    uris = [str(saved(drawn(shape), f"{shape}.png")) for shape in ("circle", "star")]
    made = store.client.create_collection("pictures", **loader)
    made.add(ids=["circle", "star"], uris=uris)
    assert [["star"]] == made.query(query_uris=[uris[1]], n_results=1)["ids"]
