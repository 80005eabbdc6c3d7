"""A filter selects what SimpleVectorStore's selects; a nested one selects what it says."""

import functools
import itertools
import math
import operator
import random
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from llama_index.core import __version__
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import FilterCondition as Is
from llama_index.core.vector_stores.types import FilterOperator as Op
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters, VectorStoreQuery

from llama_index.vector_stores.vicinal import VicinalVectorStore
from vicinal._filter.values import INT_BITS_MAX
from vicinal.errors import ArgumentTypeError, InvalidFilterError

RELEASE = tuple(int(part) for part in __version__.split(".")[:3])
MISSING = object()
STORED: list[Any] = [
    MISSING, None, "", [], {}, 0, 1, 1.0, 2.5, -3, 10**12, True, False,
    "a", "A", "abc", "Straße", "1", "True", "50%", "500", "5_0", "it's \"q\"", "back\\slash", "x.y",
    "日本", ["a", "b"], ["A"], [1, 2], [True, "a"], ["50%", 1.0, None], [[1]], ["1"], [0], {"a": 1},
    {"k": "a"}, [True], [True, True, False], float("inf"), float("nan"), 2**70,
]  # fmt: skip
SCALARS: list[Any] = [
    0, 1, 1.0, 2, 2.5, -3, 10**12, "", "a", "A", "bc", "1", "50%", "%", "5_0", "_",
    "it's \"q\"", "\\", "back\\slash", "日", "straße", "SS",
]  # fmt: skip
LISTS: list[Any] = [
    [], ["a"], ["a", "b"], [1], [0, 2], [1.0, 2.5], ["1"], ["50%"], [""], ["A", "a"],
    [1, 1, 0],
]  # fmt: skip
TEXTS = [value for value in SCALARS if isinstance(value, str)]
VALUES: dict[Op, list[Any]] = {
    **{op: [*SCALARS, *LISTS, None] for op in (Op.EQ, Op.NE)},
    **dict.fromkeys((Op.GT, Op.LT, Op.GTE, Op.LTE, Op.CONTAINS), SCALARS),
    **dict.fromkeys((Op.IN, Op.NIN, Op.ANY, Op.ALL), LISTS),
    **dict.fromkeys((Op.TEXT_MATCH, Op.TEXT_MATCH_INSENSITIVE), TEXTS),
    Op.IS_EMPTY: [None],
}
LEAVES = [MetadataFilter(key="k", operator=op, value=v) for op in VALUES for v in VALUES[op]]
SECOND = MetadataFilter(key="parity", operator=Op.EQ, value="odd")


def metadata_of(i: int) -> dict[str, Any]:
    own = {} if STORED[i] is MISSING else {"k": STORED[i]}
    return {**own, "parity": "odd" if i % 2 else "even"}


METADATA = {str(i): metadata_of(i) for i in range(len(STORED))}


@pytest.fixture(scope="module")
def select() -> Callable[[Any], set[str]]:
    """The ids that a filter selects from a store over `METADATA`."""
    store = VicinalVectorStore()
    nodes = [TextNode(id_=id, metadata=METADATA[id], embedding=[1.0]) for id in METADATA]
    store.add(nodes)
    return lambda filters: {node.node_id for node in store.get_nodes(filters=filters)}


# --- the reference: what each operator means, in Python ------------------------------------


def is_part(value: Any, stored: Any) -> bool:
    if isinstance(stored, dict):
        raise TypeError("an object has no parts")
    return value in stored


def is_among(stored: Any, values: list[Any]) -> bool:
    return any(item in values for item in stored) if isinstance(stored, list) else stored in values


def text_of(stored: Any) -> str:
    if not isinstance(stored, str):
        raise TypeError("not a string")
    return stored


MEANING: dict[Op, Callable[[Any, Any], bool]] = {
    Op.EQ: operator.eq,
    Op.NE: operator.ne,
    Op.GT: operator.gt,
    Op.LT: operator.lt,
    Op.GTE: operator.ge,
    Op.LTE: operator.le,
    Op.IN: is_among,
    Op.NIN: lambda stored, values: not is_among(stored, values),
    Op.ANY: lambda stored, values: any(part_or_not(value, stored) for value in values),
    Op.ALL: lambda stored, values: all(part_or_not(value, stored) for value in values),
    Op.CONTAINS: lambda stored, value: is_part(value, stored),
    Op.TEXT_MATCH: lambda stored, text: text in text_of(stored),
    Op.TEXT_MATCH_INSENSITIVE: lambda stored, text: text.lower() in text_of(stored).lower(),
}


def part_or_not(value: Any, stored: Any) -> bool:
    try:
        return is_part(value, stored)
    except TypeError:
        return False


def matches(filters: Any, metadata: dict[str, Any]) -> bool:
    if isinstance(filters, MetadataFilter):
        return leaf_matches(filters, metadata.get(filters.key))
    if not filters.filters:
        return True
    children = [matches(child, metadata) for child in filters.filters]
    combine = {Is.AND: all, Is.OR: any, Is.NOT: lambda found: not any(found)}
    return combine[filters.condition or Is.AND](children)


def leaf_matches(leaf: MetadataFilter, stored: Any) -> bool:
    if leaf.operator is Op.IS_EMPTY:
        return stored is None or stored == "" or stored == []
    if stored is None:
        return leaf.operator in (Op.NE, Op.NIN)
    try:
        return bool(MEANING[leaf.operator](stored, leaf.value))
    except TypeError:
        return False


def expected(filters: MetadataFilters) -> set[str]:
    return {id for id in METADATA if matches(filters, METADATA[id])}


def grouped(condition: Is | None, *filters: Any) -> MetadataFilters:
    return MetadataFilters(filters=list(filters), condition=condition)


# --- one operator, two, a tree ----------------------------------------------------------------


@pytest.mark.parametrize("op", Op)
def test_an_operator_selects_what_the_reference_says(select, op):
    for leaf in LEAVES:
        if leaf.operator is op:
            filters = grouped(Is.AND, leaf)
            assert expected(filters) == select(filters), leaf


@pytest.mark.parametrize(("op", "condition"), list(itertools.product(Op, Is)))
def test_an_operator_combines_with_another_filter(select, op, condition):
    for leaf in LEAVES:
        if leaf.operator is op:
            filters = grouped(condition, leaf, SECOND)
            assert expected(filters) == select(filters), leaf


def random_tree(rng: random.Random, depth: int) -> Any:
    if depth == 0 or rng.random() < 0.3:
        return rng.choice([*LEAVES, SECOND])
    children = [random_tree(rng, depth - 1) for _ in range(rng.randrange(4))]
    return grouped(rng.choice([*Is, None]), *children)


@pytest.mark.parametrize("seed", range(60))
def test_a_nested_filter_selects_what_the_reference_says(select, seed):
    rng = random.Random(seed)
    filters = grouped(rng.choice(list(Is)), *(random_tree(rng, 4) for _ in range(3)))
    assert expected(filters) == select(filters), filters


# Where Simple answers about values that its documentation leaves open, the reference decides.
LEFT_OPEN = {
    **dict.fromkeys([Op.IN, Op.NIN], list),  # a stored list: ours is any overlap
    **dict.fromkeys([Op.ANY, Op.ALL, Op.CONTAINS], dict),  # a stored object: theirs sees its keys
}


def simple_store(id: str) -> SimpleVectorStore:
    """A store of one record, so that an error over one says nothing of the others."""
    store = SimpleVectorStore()
    store.add([TextNode(id_=id, metadata=METADATA[id], embedding=[1.0])])
    return store


SIMPLE = {id: simple_store(id) for id in METADATA}


def simple_selects(filters: MetadataFilters, id: str) -> bool | None:
    """What SimpleVectorStore says about a record; None where it raises or the case is open."""
    stored = METADATA[id].get("k")
    if isinstance(stored, LEFT_OPEN.get(filters.filters[0].operator, ())):
        return None
    if isinstance(stored, float) and not math.isfinite(stored):
        return None  # theirs stores null
    try:
        return SIMPLE[id].query(VectorStoreQuery([1.0], filters=filters)).ids == [id]
    except TypeError:
        return None


@pytest.mark.skipif(RELEASE < (0, 14, 25), reason="the filters of older releases say other things")
@pytest.mark.parametrize("op", Op)
def test_an_operator_selects_what_simple_vector_store_selects(select, op):
    for leaf, condition in itertools.product(LEAVES, Is):
        if leaf.operator is op:
            filters = grouped(condition, leaf, SECOND)
            theirs = {id: simple_selects(filters, id) for id in METADATA}
            ours = select(filters)
            wrong = {id for id in METADATA if theirs[id] not in (None, id in ours)}
            assert wrong == set(), leaf


# --- facts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("condition", [*Is, None])
def test_an_empty_list_of_filters_restricts_nothing(select, condition):
    assert len(STORED) == len(select(grouped(condition)))


def test_an_empty_group_inside_another_matches_everything(select):
    assert len(STORED) == len(select(grouped(Is.OR, SECOND, grouped(Is.AND))))
    assert select(grouped(Is.NOT, grouped(Is.AND))) == set()
    assert select(grouped(Is.AND, SECOND, grouped(Is.OR))) == select(grouped(Is.AND, SECOND))


def test_filters_nest_thirty_deep(select):
    filters = grouped(Is.AND, SECOND)
    for _ in range(30):
        filters = grouped(Is.NOT, filters)
    assert select(filters) == expected(grouped(Is.AND, SECOND))


@pytest.mark.parametrize("condition", [Is.AND, Is.NOT])
def test_filters_that_nest_too_deep_are_refused_with_their_place(select, condition):
    filters = grouped(Is.OR, SECOND)
    for _ in range(800):
        filters = MetadataFilters.model_construct(filters=[filters, SECOND], condition=condition)
    with pytest.raises(
        InvalidFilterError, match=r"^filters\.filters\[0\].*…: filters may nest at most 100 deep"
    ):
        select(filters)


INFINITE = [-math.inf, math.inf, math.nan]
NUMBERS = [*INFINITE, 0, -1, 1.5, 1.7e308, -1.7e308, 10**400, -(10**400), 2**INT_BITS_MAX - 1, True, False]


@pytest.mark.parametrize("value", [*INFINITE, 10**400])
@pytest.mark.parametrize("op", [Op.EQ, Op.NE, Op.GT, Op.GTE, Op.LT, Op.LTE])
def test_infinity_and_nan_are_compared_as_in_python(node, ids, op, value):
    stored = {str(i): number for i, number in enumerate([*NUMBERS, "inf", None, [value]])}
    store = VicinalVectorStore()
    store.add([node(id, k=number) for id, number in stored.items()] + [node("none")])
    leaf = MetadataFilter.model_construct(key="k", operator=op, value=value)
    right = [id for id in stored if leaf_matches(leaf, stored[id])] + ["none"] * (op is Op.NE)
    assert ids(store.get_nodes(filters=grouped(Is.AND, leaf))) == sorted(right)


@pytest.mark.parametrize("op", [Op.IN, Op.NIN, Op.ANY, Op.ALL])
def test_a_list_in_which_nan_is_holds_as_much_as_one_without(select, op):
    with_nan, without = (
        select(grouped(Is.AND, MetadataFilter.model_construct(key="k", operator=op, value=value)))
        for value in ([1, "a", math.nan], [1, "a"])
    )
    assert with_nan == (without if op is not Op.ALL else set())


DATES = {"a": date(2024, 1, 1), "b": datetime(2024, 6, 1, 12), "c": "2024-06-01", "d": 2024}
COMPACT = "20240101"  # read as a date by newer Pythons; a number or an article's, more often
MOMENTS = [
    (Op.EQ, "2024-01-01", ["a"]),
    (Op.EQ, "2024-06-01", ["c"]),
    (Op.EQ, "2024-06-01T12:00:00Z", ["b"]),
    (Op.GTE, "2024-02-30", ["c"]),  # no date: text alone
    (Op.GT, "2024-01-01", ["b", "c"]),
    (Op.LT, "2024-06-01T00:00:00", ["a", "c"]),
    (Op.IN, ["2024-01-01", "2024-06-01"], ["a", "c"]),
    (Op.NE, "2024-01-01", ["b", "c", "d"]),
    (Op.EQ, COMPACT, []),
    (Op.GT, COMPACT, []),
]


@pytest.mark.parametrize(("op", "value", "found"), MOMENTS)
def test_iso_text_is_compared_with_stored_dates_as_an_instant(node, ids, op, value, found):
    store = VicinalVectorStore()
    store.add([node(id, when=when) for id, when in DATES.items()])
    leaf = MetadataFilter(key="when", operator=op, value=value)
    assert ids(store.get_nodes(filters=grouped(Is.AND, leaf))) == found


ODD_KEYS = [
    "$price", "#id", "#document", "_node", "_node_ref_doc_id", "chroma:document", "a.b", "", "\\x",
    "it's", "日",
]  # fmt: skip


@pytest.mark.parametrize("key", ODD_KEYS)
def test_any_key_can_be_stored_and_filtered(store, node, key):
    store.add([node("a", **{key: 5}), node("b")])
    filters = grouped(Is.AND, MetadataFilter(key=key, operator=Op.GTE, value=5))
    found = store.get_nodes(filters=filters)
    assert [(n.node_id, n.metadata) for n in found] == [("a", {key: 5})]


def test_a_dotted_key_reaches_into_nested_metadata(node, ids):
    store = VicinalVectorStore()
    store.add([node("a", author={"name": "Ada"}), node("b", author="Ada")])
    leaf = MetadataFilter(key="author.name", value="Ada")
    assert ids(store.get_nodes(filters=grouped(Is.AND, leaf))) == ["a"]


@pytest.mark.parametrize("key", ["doc_id", "document_id", "ref_doc_id"])
def test_the_source_keys_of_other_stores_filter_unless_the_user_has_one(node, ids, key):
    store = VicinalVectorStore()
    store.add([node("a", "d1"), node("b", "d1", **{key: "mine"}), node("c")])
    for op, value, found in [
        (Op.EQ, "d1", ["a"]),
        (Op.EQ, "mine", ["b"]),
        (Op.EQ, "None", []),
        (Op.NE, "d1", ["b", "c"]),
        (Op.NE, "mine", ["a", "c"]),
        (Op.IS_EMPTY, None, ["c"]),
    ]:
        filters = grouped(Is.AND, MetadataFilter(key=key, operator=op, value=value))
        assert ids(store.get_nodes(filters=filters)) == found


def test_a_query_returns_as_many_as_match(store):
    nodes = [TextNode(id_=str(i), metadata={"i": i}, embedding=[1.0, i]) for i in range(500)]
    store.add(nodes)
    rare = grouped(Is.AND, MetadataFilter(key="i", operator=Op.IN, value=[7, 77, 477]))
    found = store.query(VectorStoreQuery([1.0, 0.0], similarity_top_k=3, filters=rare))
    assert found.ids == ["7", "77", "477"]


def test_a_source_is_no_part_of_filterable_metadata(node, ids):
    store = VicinalVectorStore()
    made = node("a")
    made.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id="d", metadata={"x": 1})
    store.add([made])
    assert ids(store.get_nodes(filters=grouped(Is.AND, MetadataFilter(key="x", value=1)))) == []


# --- errors -------------------------------------------------------------------------------------

REFUSED = [
    (Op.GT, None, 'operator ">" on "year" needs a number or a string, got None'),
    (Op.LTE, [1], 'operator "<=" on "year" needs a number or a string, got [1]'),
    (Op.IN, "abc", 'operator "in" on "year" needs a list, got \'abc\''),
    (Op.NIN, None, 'operator "nin" on "year" needs a list, got None'),
    (Op.ALL, 3, 'operator "all" on "year" needs a list, got 3'),
    (Op.CONTAINS, ["a"], 'operator "contains" on "year" needs one value, got [\'a\']'),
    (Op.TEXT_MATCH, 3, 'operator "text_match" on "year" needs a string, got 3'),
    (Op.IN, [1.0, math.inf], 'operator "in" on "year" needs finite numbers, got [1.0, inf]'),
    (Op.CONTAINS, -math.inf, 'operator "contains" on "year" needs finite numbers, got -inf'),
]


@pytest.mark.parametrize(("op", "value", "text"), REFUSED)
def test_a_value_that_an_operator_cannot_take_is_refused_with_its_place(store, op, value, text):
    leaf = MetadataFilter(key="year", operator=op, value=value)
    filters = grouped(Is.AND, SECOND, grouped(Is.OR, leaf))
    with pytest.raises(InvalidFilterError) as caught:
        store.get_nodes(filters=filters)
    assert str(caught.value) == f"filters.filters[1].filters[0]: {text}"


ENDLESS = 10**5000
DEEP = functools.reduce(lambda inner, _: [inner], range(100_000), [])
UNSHOWABLE = [
    (Op.IN, ENDLESS, 'operator "in" on "year" needs a list, got <int, too large to be shown>'),
    (Op.GT, DEEP, 'operator ">" on "year" needs a number or a string, got <list, too large to be shown>'),
    (
        Op.ANY,
        [math.inf, ENDLESS],
        'operator "any" on "year" needs finite numbers, got <list, too large to be shown>',
    ),
    *(
        (op, DEEP, f'operator "{op.value}" on "year" compares no list that nests so deep')
        for op in (Op.EQ, Op.NE, Op.IN, Op.NIN, Op.ANY, Op.ALL)
    ),
]


@pytest.mark.parametrize(("op", "value", "text"), UNSHOWABLE, ids=range(len(UNSHOWABLE)))
def test_a_value_that_python_does_not_show_is_refused_with_its_place(store, op, value, text):
    leaf = MetadataFilter.model_construct(key="year", operator=op, value=value)
    with pytest.raises(InvalidFilterError) as caught:
        store.get_nodes(filters=MetadataFilters.model_construct(filters=[leaf], condition=Is.AND))
    assert str(caught.value) == f"filters.filters[0]: {text}"


def test_an_operator_of_the_future_is_refused_by_name(store):
    leaf = MetadataFilter.model_construct(key="year", operator="near", value=3)
    with pytest.raises(ValueError, match="unknown operator 'near' on \"year\""):
        store.get_nodes(filters=MetadataFilters.model_construct(filters=[leaf], condition=Is.AND))


@pytest.mark.parametrize("filters", [[], {"year": 1979}, SECOND, [SECOND]])
def test_what_is_no_filters_is_refused(store, filters):
    for call in (store.get_nodes, store.delete_nodes):
        with pytest.raises(ArgumentTypeError, match="Expected filters to be MetadataFilters"):
            call(filters=filters)
    with pytest.raises(ArgumentTypeError, match="Expected filters to be MetadataFilters"):
        store.query(VectorStoreQuery([1.0], filters=filters))
