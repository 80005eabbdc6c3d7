"""Models on this machine are run as their makers mean, from a directory, without a network."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vicinal.embedding.protocol import embed
from vicinal.embedding.registry import build, check_agreement, describe
from vicinal.embedding.sparse import build_sparse
from vicinal.errors import EmbeddingFunctionError
from vicinal.utils import embedding_functions as ef

WORDS = ["[PAD]", "[UNK]", "red", "green", "blue", "circle", "square", "a"]
TABLE = np.random.default_rng(7).normal(size=(len(WORDS), 4)).astype(np.float32)


def tokenizer(folder: Path) -> Any:
    """A tokenizer of eight words, written to `folder/tokenizer.json`."""
    tokenizers = pytest.importorskip("tokenizers")
    from tokenizers import models, pre_tokenizers

    made = tokenizers.Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.save(str(folder / "tokenizer.json"))
    return made


def mean_of(text: str) -> np.ndarray:
    """What mean pooling over `TABLE` gives, at unit length."""
    mean = TABLE[[WORDS.index(word) for word in text.split()]].mean(axis=0)
    return mean / np.linalg.norm(mean)


# --- ONNX --------------------------------------------------------------------------------------


def message(*fields: tuple[int, Any]) -> bytes:
    """A protobuf message: ints as varints, all else as bytes."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            written = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(written)) + written
    return out


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def onnx_model(folder: Path) -> Path:
    """A model with the inputs and output of all-MiniLM that looks every token up in `TABLE`.

    Source of the field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
    """

    def value(name: str, kind: int, *sizes: str) -> bytes:
        shape = message(*((1, message((2, size))) for size in sizes))
        return message((1, name), (2, message((1, message((1, kind), (2, shape))))))

    table = message((1, len(WORDS)), (1, 4), (2, 1), (8, "table"), (9, TABLE.tobytes()))
    look_up = message((1, "table"), (1, "input_ids"), (2, "last_hidden_state"), (4, "Gather"))
    names = ("input_ids", "attention_mask", "token_type_ids")
    graph = message(
        (1, look_up),
        (2, "graph"),
        (5, table),
        *((11, value(name, 7, "batch", "length")) for name in names),
        (12, value("last_hidden_state", 1, "batch", "length", "width")),
    )
    (folder / "model.onnx").write_bytes(message((1, 8), (7, graph), (8, message((1, ""), (2, 13)))))
    tokenizer(folder)
    return folder


@pytest.fixture
def onnx(tmp_path: Path) -> Any:
    pytest.importorskip("onnxruntime")
    return ef.ONNXMiniLM_L6_V2(path=onnx_model(tmp_path))


def test_onnx_averages_tokens_to_unit_length(onnx):
    np.testing.assert_allclose([mean_of("red circle")], onnx(["red circle"]), atol=1e-6)


def test_onnx_embeds_a_batch_as_its_texts_are_one_by_one(onnx):
    texts = ["red circle", "a", "a blue square a", ""] * 20
    np.testing.assert_allclose(onnx(texts), [onnx([text])[0] for text in texts], atol=1e-6)


def test_onnx_cuts_long_texts(onnx):
    np.testing.assert_allclose(onnx(["red " * 256 + "blue " * 99]), onnx(["red"]), atol=1e-5)


def test_onnx_embeds_no_texts(onnx):
    assert [] == onnx([])


def test_onnx_finds_the_files_as_the_hub_lays_them_out(tmp_path, onnx):
    (tmp_path / "onnx").mkdir()
    (tmp_path / "model.onnx").rename(tmp_path / "onnx" / "model.onnx")
    assert (1, 4) == embed(onnx, ["red"], query=False).shape


def test_onnx_downloads_nothing_and_says_what_is_missing(tmp_path):
    pytest.importorskip("onnxruntime")
    with pytest.raises(EmbeddingFunctionError, match="and nothing is downloaded"):
        ef.ONNXMiniLM_L6_V2(path=tmp_path)(["text"])


@pytest.mark.filterwarnings("ignore")
def test_onnx_answers_as_chromas_default_function(tmp_path, onnx):
    theirs = pytest.importorskip("chromadb.utils.embedding_functions").ONNXMiniLM_L6_V2()
    theirs.DOWNLOAD_PATH, theirs.EXTRACTED_FOLDER_NAME = tmp_path, ""
    texts = ["red circle", "a blue square", "a"]
    np.testing.assert_allclose(theirs._forward(texts), onnx(texts), atol=1e-6)


def test_onnx_is_rebuilt_from_its_directory(onnx):
    again = build(json.loads(json.dumps(describe(onnx))))
    np.testing.assert_array_equal(onnx(["red"]), again(["red"]))


def test_a_model_may_have_moved(onnx):
    other = ef.ONNXMiniLM_L6_V2(path="/elsewhere")
    assert check_agreement(describe(onnx), describe(other)) is None


# --- Model2Vec ---------------------------------------------------------------------------------


@pytest.fixture
def static_model(tmp_path: Path) -> Path:
    model2vec = pytest.importorskip("model2vec")
    model2vec.StaticModel(TABLE, tokenizer(tmp_path), normalize=True).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_model2vec_averages_tokens_to_unit_length(static_model):
    function = ef.Model2VecEmbeddingFunction(str(static_model))
    np.testing.assert_allclose([mean_of("red circle")], function(["red circle"]), atol=1e-6)


def test_model2vec_embeds_no_texts(static_model):
    assert [] == ef.Model2VecEmbeddingFunction(str(static_model))([])


def test_model2vec_is_rebuilt_from_its_configuration(static_model):
    function = ef.Model2VecEmbeddingFunction(str(static_model), normalize=False, dimensions=2)
    again = build(json.loads(json.dumps(describe(function))))
    assert (2, function(["red"])[0].tolist()) == (len(again(["red"])[0]), again(["red"])[0].tolist())


# --- sentence-transformers ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def transformer(tmp_path_factory: pytest.TempPathFactory) -> str:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    folder = tmp_path_factory.mktemp("transformer")
    module = StaticEmbedding(tokenizer(folder), embedding_weights=TABLE)
    sentence_transformers.SentenceTransformer(modules=[module], device="cpu").save(str(folder / "model"))
    return str(folder / "model")


def test_a_sentence_transformer_embeds_text(transformer):
    function = ef.SentenceTransformerEmbeddingFunction(transformer, normalize_embeddings=True)
    np.testing.assert_allclose([mean_of("red circle")], function(["red circle"]), atol=1e-6)


def test_a_sentence_transformer_is_rebuilt_from_its_configuration(transformer):
    function = ef.SentenceTransformerEmbeddingFunction(transformer, backend="torch")
    again = build(json.loads(json.dumps(describe(function))))
    assert function.get_config() == again.get_config()
    np.testing.assert_array_equal(function(["red"]), again(["red"]))


def test_a_sentence_transformers_token_is_not_stored(transformer):
    function = ef.SentenceTransformerEmbeddingFunction(transformer, token="hf_secret")
    assert "hf_secret" not in f"{function!r} {describe(function)}"


def test_a_token_inside_of_an_argument_is_not_stored(monkeypatch):
    loaded = []
    monkeypatch.setattr(
        "vicinal.embedding.providers.sentence_transformers._load", lambda *given: loaded.append(given)
    )
    hidden = {"token": "hf_secret", "pad_token": "[PAD]", "more": [{"use_auth_token": "hf_secret"}]}
    for made in (
        ef.SentenceTransformerEmbeddingFunction("m", model_kwargs=hidden, tokenizer_kwargs=hidden),
        ef.HuggingFaceSparseEmbeddingFunction("m", model_kwargs=hidden),
    ):
        kept = made.get_config()["kwargs"]["model_kwargs"]
        assert ({"pad_token": "[PAD]", "more": [{}]}, False) == (kept, "hf_secret" in repr(made))
    assert all("hf_secret" in str(given) for given in loaded)


def test_an_argument_that_cannot_be_stored_is_refused():
    pytest.importorskip("sentence_transformers")
    with pytest.raises(EmbeddingFunctionError, match="must be JSON"):
        ef.SentenceTransformerEmbeddingFunction("m", tokenizer_kwargs={"x": object()})


@pytest.mark.parametrize(
    "config",
    [
        {"model_name": "m", "kwargs": {"trust_remote_code": True}},
        {"model_name": "m", "kwargs": {"model_kwargs": [{"trust_remote_code": 1}]}},
    ],
)
def test_a_stored_configuration_never_runs_code_of_a_model(config):
    with pytest.raises(EmbeddingFunctionError, match="trust_remote_code"):
        build({"type": "known", "name": "sentence_transformer", "config": config})


def test_splade_encodes_documents_and_queries(tmp_path):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding
    from transformers import PreTrainedTokenizerFast

    tokenizer(tmp_path)
    words = PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"), unk_token="[UNK]")
    words.pad_token = "[PAD]"
    import torch

    module = SparseStaticEmbedding(words, weight=torch.arange(len(WORDS)).float())
    sentence_transformers.SparseEncoder(modules=[module], device="cpu").save(str(tmp_path / "model"))
    function = ef.HuggingFaceSparseEmbeddingFunction(
        str(tmp_path / "model"), "cpu", query_config={"task": "query"}
    )
    (vector,) = function(["blue red red"])
    assert ([2, 4], [2.0, 4.0]) == (vector.indices, vector.values)
    again = build_sparse({"type": "known", "name": function.name(), "config": function.get_config()})
    assert [vector] == again.embed_query(["blue red"])


# --- OpenCLIP ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A CLIP of a few thousand weights, not trained, saved as a checkpoint."""
    open_clip = pytest.importorskip("open_clip")
    import torch

    folder = tmp_path_factory.mktemp("clip")
    vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
    text = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    config = {"embed_dim": 8, "vision_cfg": vision, "text_cfg": text}
    (folder / "tests-tiny.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    torch.manual_seed(0)
    torch.save(open_clip.create_model("tests-tiny").state_dict(), folder / "tiny.pt")
    return ef.OpenCLIPEmbeddingFunction("tests-tiny", str(folder / "tiny.pt"))


PICTURE = np.random.default_rng(0).integers(0, 255, (40, 30, 3), np.uint8)


def test_open_clip_puts_texts_and_pictures_into_one_space(clip):
    vectors = embed(clip, ["a red circle", PICTURE, "blue"], query=False)
    assert (3, 8) == vectors.shape
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_open_clip_embeds_a_batch_as_its_items_are_one_by_one(clip):
    items = [PICTURE, "red", PICTURE[:, :, 0], "blue"] * 10
    np.testing.assert_allclose(clip(items), [clip([item])[0] for item in items], atol=1e-5)


def test_open_clip_is_rebuilt_from_its_checkpoint(clip):
    again = build(json.loads(json.dumps(describe(clip))))
    np.testing.assert_allclose(clip([PICTURE]), again([PICTURE]), atol=1e-6)


def test_open_clip_embeds_nothing(clip):
    assert ([], True) == (clip([]), clip.supports_images())
