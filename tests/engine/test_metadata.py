"""Whatever JSON can say, and datetimes and dates, is metadata and comes back equal, value and type."""

import tempfile
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from pydantic_core import PydanticSerializationError

import vicinal
from vicinal._storage import metadata as metadata_on_disk
from vicinal.errors import InvalidArgumentError

BERLIN = ZoneInfo("Europe/Berlin")
UTC = timezone.utc
ODD_ZONE = timezone(timedelta(hours=-5, minutes=-30, seconds=-7))
DEEP: Any = None
for _ in range(64):
    DEEP = [DEEP]

PLAIN = [
    *(None, True, False, 0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64, -(10**30), 10**4000),
    *(0.0, -0.0, 1.0, -1.5, 0.1 + 0.2, 1e16, 1e22, 5e-324, 1.7976931348623157e308, 2.0**53 + 2),
    *(float("inf"), float("-inf"), float("nan"), [float("nan"), {"x": float("inf")}], DEEP),
    *("", " ", "a", "ü", "日本", "😀", "\0", "a\0b", "\n\r\t", '"', "\\", "\u2028", "\x7f", "\ufffe", "NaN"),
    *("null", "2020-01-01", "#type", '{"#type": "date"}', "x" * 100_000, "'; DROP TABLE records; --"),
    *([], [[]], {}, [{}], [None], {"": 1}, [1, 1.0, True, "1", None, [1]]),
    *({"a": {"b": {"c": [1, {"d": None}]}}}, {"a.b": {"c": 1}, "a": {"b.c": 2}}),
    *({"#type": "date"}, {"#type": "date", "value": "2020-01-01"}, {"value": {"#type": None}}),
    *({"#type": "object", "value": {"x": 1}}, {"#type": {"#type": {"#type": []}}}),
    *([{"#type": 1, "value": [{"#type": "datetime"}]}], {"#time": 5}),
    *({"$gt": 1}, {"#id": 2, "chroma:document": 3}),
]
OTHERS = [
    *(Decimal("1.50"), Decimal("-0"), Decimal("1E+400000"), Decimal("Infinity"), Decimal(1) / 7),
    *(UUID(int=0), UUID("12345678-1234-5678-1234-567812345678"), b"", b"\x00\xff#", b"x" * 100_000),
    *([Decimal(1), UUID(int=1)], {"deep": [b"deep", {"#type": "bytes", "value": "!"}]}),
    *({"#type": "decimal", "value": "x"}, {"#type": ["uuid"], "value": 1}),
]
MOMENTS = [
    *(datetime(2020, 1, 31, 12, 30, 15, 123456), datetime(2020, 1, 1, tzinfo=UTC), datetime(1, 1, 1)),
    *(datetime(9999, 12, 31, 23, 59, 59, 999999), datetime(1969, 12, 31, 23, 59, tzinfo=ODD_ZONE)),
    *(date(2020, 2, 29), date(1, 1, 1), date(9999, 12, 31)),
    *([date(2020, 1, 1)], {"deep": [datetime(2020, 1, 1)]}),
]
KEYS = [
    *(
        "a",
        "A",
        " ",
        "a.b",
        ".",
        "..",
        "a.",
        ".a",
        "'",
        '"',
        "`",
        "ü",
        "日本",
        "😀",
        "\0",
        "a\0b",
        "a$",
        "a#",
    ),
    *("%", "_", "value", "type", "chroma", "chroma:uri", "id", "row", "metadata", "NULL", "0", "x" * 10_000),
    *("'; --", "\u202e"),
]


class Colour(str, Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Money(float):
    def __repr__(self) -> str:
        return "money"


CONVERTED = [
    *((np.int8(-3), -3), (np.uint64(2**64 - 1), 2**64 - 1), (np.float64(0.1), 0.1), (np.float32(0.5), 0.5)),
    *((np.bool_(True), True), (np.str_("x"), "x"), (np.array(7), 7), ([np.int64(1)], [1])),
    *((np.array([1, 2]), [1, 2]), (np.array([[1.5], [2]]), [[1.5], [2.0]]), (np.array([]), [])),
    *((np.array(["a", "b"]), ["a", "b"]), (np.datetime64("2020-01-31"), date(2020, 1, 31))),
    (np.datetime64("2020-01-31T12:30"), datetime(2020, 1, 31, 12, 30)),
    (np.datetime64("2020-01-31T12:30:15.123456789"), datetime(2020, 1, 31, 12, 30, 15, 123456)),
    (np.array(["2020-01-31"], dtype="datetime64[ns]"), [datetime(2020, 1, 31)]),
    *(((1, 2), [1, 2]), ({"a": (1, (2,))}, {"a": [1, [2]]}), (MappingProxyType({"a": 1}), {"a": 1})),
    *((Colour.RED, "red"), (Level.HIGH, 3), (Money(1.5), 1.5), ([Colour.RED, Level.HIGH], ["red", 3])),
    ({Colour.RED: Level.HIGH}, {"red": 3}),
    *(
        ({2, 1}, [1, 2]),
        (frozenset(["b", "a"]), ["a", "b"]),
        ({"b", 1, None}, ["b", 1, None]),
        (set(), []),
        ({"deep": {(1, 2)}}, {"deep": [[1, 2]]}),
    ),
    *((bytearray(b"ab"), b"ab"), (memoryview(b"ab"), b"ab"), (np.bytes_(b"x"), b"x")),
]
REFUSED = [
    *(
        object(),
        {object()},
        1j,
        timedelta(1),
        range(3),
        iter([]),
        print,
        Ellipsis,
        np.timedelta64(1, "s"),
    ),
    *(
        np.datetime64("NaT", "D"),
        np.datetime64("NaT", "ns"),
        np.datetime64("20000-01-01"),
        np.complex64(1),
        [object()],
        {"deep": [{1j}]},
        {1: 2},
        {None: 1},
        {("a",): 1},
    ),
    *("\ud800", ["\udfff"], {"\ud800": 1}, {"deep": {"k": "x\ud800"}}, [DEEP], 10**5000, -(10**5000)),
]


def same(value: Any) -> str:
    """A text that is equal exactly when two values are, their types included; NaN is itself."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key!r}:{same(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(same, value)) + "]"
    if isinstance(value, datetime):
        return f"datetime {value.isoformat()}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{type(value).__name__} {value:x}"
    return f"{type(value).__name__} {value!r}"


def kept(store, **metadata: Any) -> dict[str, Any]:
    """What comes back of one record's metadata."""
    made = store.collection(ids=["x"], embeddings=[[1]], metadatas=[metadata])
    return store.reopen(made).get()["metadatas"][0]


def named(value: Any) -> str:
    return ascii(value)[:30] if not isinstance(value, int) else f"{value:x}"[:30]


# --- round trips -----------------------------------------------------------------------------


@pytest.mark.parametrize("value", [*PLAIN, *MOMENTS, *OTHERS], ids=named)
def test_a_value_comes_back_equal(store, value):
    assert same({"key": value}) == same(kept(store, key=value))


@pytest.mark.parametrize("key", KEYS, ids=named)
def test_a_key_comes_back_equal(store, key):
    assert {key: 1, "deep": {key: [key]}} == kept(store, **{key: 1, "deep": {key: [key]}})


def test_all_values_at_once_come_back_equal_and_in_order(store):
    metadata = {f"key {i}": value for i, value in enumerate([*PLAIN, *MOMENTS, *OTHERS])}
    assert same(metadata) == same(kept(store, **metadata))


@pytest.mark.parametrize(("given", "expected"), CONVERTED, ids=named)
def test_a_value_of_another_class_becomes_the_plain_value_it_is(store, given, expected):
    assert same({"key": expected}) == same(kept(store, key=given))


def test_a_key_of_another_class_becomes_the_plain_string_it_is(store):
    found = kept(store, **{Colour.RED: 1, np.str_("b"): 2})
    assert [(str, "red"), (str, "b")] == [(type(key), key) for key in found]


@pytest.mark.parametrize(
    "moment", [datetime(2020, 7, 1, 12, tzinfo=BERLIN), datetime(2020, 1, 1, 12, tzinfo=BERLIN)]
)
def test_a_datetime_of_a_named_zone_keeps_its_instant_and_offset(store, moment):
    found = kept(store, key=moment)["key"]
    assert (moment, moment.utcoffset()) == (found, found.utcoffset())


def test_a_naive_datetime_stays_naive(store):
    assert kept(store, key=datetime(2020, 1, 1))["key"].tzinfo is None


def test_pandas_moments_are_datetimes(store):
    pandas = pytest.importorskip("pandas")
    found = kept(store, key=pandas.Timestamp("2020-01-31T12:30:15.123456789"))
    assert same({"key": datetime(2020, 1, 31, 12, 30, 15, 123456)}) == same(found)


def test_no_metadata_and_empty_metadata_are_different(store):
    made = store.collection(ids=["a", "b"], embeddings=[[1], [2]], metadatas=[None, {}])
    assert store.reopen(made).get()["metadatas"] == [None, {}]


def test_records_without_the_argument_have_no_metadata(store):
    made = store.collection(ids=["a"], embeddings=[[1]])
    assert store.reopen(made).get()["metadatas"] == [None]


def test_a_query_returns_the_same_metadata_as_get(store):
    metadata = {"list": [1, {"#type": "x"}], "when": datetime(2020, 1, 1), "nothing": None}
    made = store.collection(ids=["x"], embeddings=[[1]], metadatas=[metadata])
    assert [[metadata]] == store.reopen(made).query([1])["metadatas"]


@pytest.mark.parametrize("value", [*PLAIN, *MOMENTS, *OTHERS], ids=named)
def test_a_value_survives_the_merging_of_another(collection, value):
    collection.add(ids="x", embeddings=[1], metadatas={"kept": value})
    collection.update(ids="x", metadatas={"other": 1})
    assert same({"kept": value, "other": 1}) == same(collection.get()["metadatas"][0])


def test_wide_metadata_comes_back_equal(store):
    metadata = {f"key {i}": i for i in range(10_000)}
    assert metadata == kept(store, **metadata)


def test_what_pydantic_finds_too_deep_comes_back_equal(store, monkeypatch: pytest.MonkeyPatch):
    def refuse(value: Any) -> bytes:  # as on Windows, beyond 98 levels
        raise PydanticSerializationError("Maximum serialization depth exceeded")

    monkeypatch.setattr(metadata_on_disk, "to_json", refuse)
    tagged = {"#type": "ü \u2028 \U0001f600", "n": 1e16}
    metadata = {"key": [tagged, float("inf")], "deep": DEEP, "at": datetime(2026, 1, 31)}
    assert same(metadata) == same(kept(store, **metadata))


def test_sixty_four_levels_of_tagged_objects_come_back_equal(store):
    value: Any = 1
    for _ in range(64):
        value = {"#type": value}
    assert {"key": value} == kept(store, key=value)


@pytest.mark.parametrize(
    ("value", "equal", "other"),
    [
        (Decimal("1.50"), Decimal("15E-1"), Decimal("1.51")),
        (Decimal("-0.00"), Decimal(0), Decimal(1)),
        (Decimal("1E+400000"), Decimal("10E+399999"), Decimal("1E+400001")),
        (UUID(int=7), UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (b"\x00", b"\x00", b"\x01"),
        (Decimal(2), Decimal("2.0"), 2),
    ],
    ids=named,
)
def test_a_filter_finds_decimals_uuids_and_bytes_by_equality(collection, value, equal, other):
    collection.add(
        ids=["it", "in a list"], embeddings=[[1], [2]], metadatas=[{"key": value}, {"key": [value]}]
    )
    assert collection.get(where={"key": equal})["ids"] == ["it"]
    assert collection.get(where={"key": {"$in": [equal]}})["ids"] == ["it"]
    assert collection.get(where={"key": {"$ne": equal}})["ids"] == ["in a list"]
    assert collection.get(where={"key": {"$contains": equal}})["ids"] == ["in a list"]
    assert collection.get(where={"key": other})["ids"] == []
    if not isinstance(other, (str, int)):
        with pytest.raises(InvalidArgumentError, match=r"\$gt"):
            collection.get(where={"key": {"$gt": equal}})


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize("value", REFUSED, ids=named)
@pytest.mark.parametrize("verb", ["add", "upsert"])
def test_what_cannot_come_back_equal_is_refused(collection, verb, value):
    with pytest.raises(InvalidArgumentError, match=r"metadatas\[1\]"):
        getattr(collection, verb)(ids=["a", "b"], embeddings=[[1], [2]], metadatas=[{"k": 1}, {"k": value}])
    assert collection.count() == 0


@pytest.mark.parametrize("key", ["", "#id", "#", "$gt", "$", "chroma:document", 1, None, True, ("a",), b"a"])
def test_a_key_that_filters_could_not_name_is_refused(collection, key):
    with pytest.raises(InvalidArgumentError, match=r"metadatas\[0\]"):
        collection.add(ids="a", embeddings=[1], metadatas={"fine": 1, key: 1})
    assert collection.count() == 0


@pytest.mark.parametrize("item", ["text", 5, [("a", 1)], {1}, 1.5, True])
def test_metadata_that_is_no_dictionary_is_refused(collection, item):
    with pytest.raises(InvalidArgumentError, match=r"metadatas\[0\]"):
        collection.add(ids=["a"], embeddings=[[1]], metadatas=[item])
    assert collection.count() == 0


@pytest.mark.parametrize("unit", ["D", "s", "us", "ns"])
def test_moments_of_numpy_are_moments_also_in_arrays(collection, unit):
    days = np.array(["2020-01-01", "2020-01-02"], dtype=f"M8[{unit}]")
    one = np.array("2020-01-01", dtype=f"M8[{unit}]")
    collection.add(["a", "b", "c"], [[1]] * 3, [{"v": days[0]}, {"v": days[1]}, {"v": [*days]}])
    collection.add("d", [1], {"v": one})
    for where, wanted in (
        ({"v": {"$in": days}}, ["a", "b", "d"]),
        ({"v": {"$nin": days}}, ["c"]),
        ({"v": {"$any": days}}, ["c"]),
        ({"v": {"$all": days}}, ["c"]),
        ({"v": {"$between": days}}, ["a", "b", "d"]),
    ):
        assert collection.get(where=where)["ids"] == wanted, where


def test_no_moment_is_refused(collection):
    pandas = pytest.importorskip("pandas")
    with pytest.raises(InvalidArgumentError, match=r'metadatas\[0\]\["when"\]'):
        collection.add(ids="a", embeddings=[1], metadatas={"when": pandas.NaT})
    assert collection.count() == 0


def test_metadata_that_holds_itself_is_refused(collection):
    knot: dict[str, Any] = {}
    knot["knot"] = [knot]
    with pytest.raises(InvalidArgumentError, match="64 deep"):
        collection.add(ids="a", embeddings=[1], metadatas=knot)


# --- properties ------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
# Whole seconds: CPython's own fromisoformat loses an offset of microseconds alone.
OFFSETS = st.integers(-86_399, 86_399).map(lambda seconds: timezone(timedelta(seconds=seconds)))
SCALARS = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.integers(-(2**70), 2**70), st.floats(), TEXT, st.dates()),
    st.datetimes(timezones=st.none() | st.just(UTC) | OFFSETS),
)
INNER_KEYS = TEXT | st.sampled_from(["#type", "value", "#time", "a.b"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(INNER_KEYS, inner, max_size=4)
)
TOP_KEYS = TEXT.filter(lambda key: key and key[0] not in "#$" and key != "chroma:document")
METADATA = st.none() | st.dictionaries(TOP_KEYS, VALUES, max_size=5)


def written(client: vicinal.Client, metadatas: list[Any]) -> vicinal.Collection:
    made = client.create_collection("things", embedding_function=None)
    made.add([str(i) for i in range(len(metadatas))], [[i] for i in range(len(metadatas))], metadatas)
    return made


@hypothesis.given(st.lists(METADATA, min_size=1, max_size=4))
def test_any_metadata_comes_back_equal(metadatas):
    with vicinal.EphemeralClient() as client:
        assert same(metadatas) == same(written(client, metadatas).get()["metadatas"])


@hypothesis.settings(max_examples=20)
@hypothesis.given(st.lists(METADATA, min_size=1, max_size=8))
def test_any_metadata_comes_back_equal_from_disk(metadatas):
    with tempfile.TemporaryDirectory() as path:
        with vicinal.PersistentClient(path) as client:
            written(client, metadatas)
        with vicinal.PersistentClient(path) as client:
            assert same(metadatas) == same(client.get_collection("things").get()["metadatas"])


@hypothesis.given(METADATA, METADATA)
def test_merging_is_pythons_merging_except_that_a_given_none_deletes(before, given):
    with vicinal.EphemeralClient() as client:
        made = written(client, [before])
        made.update(ids="0", metadatas=[given])
        deleted = {key for key, value in (given or {}).items() if value is None}
        merged = {k: v for k, v in {**(before or {}), **(given or {})}.items() if k not in deleted}
        expected = merged or (None if before else before)  # the last key deleted leaves no metadata
        assert same(expected) == same(made.get()["metadatas"][0])


@hypothesis.given(METADATA, METADATA)
def test_without_merging_the_given_metadata_is_there(before, given):
    with vicinal.EphemeralClient() as client:
        made = written(client, [before])
        made.upsert(ids="0", embeddings=[1], metadatas=[given], merge_metadata=False)
        assert same(given) == same(made.get()["metadatas"][0])
