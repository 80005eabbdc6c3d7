"""A model's structured query finds what its words say, with every comparator, operator and type of value."""

import sys
from datetime import date, datetime, timezone
from types import ModuleType

import pytest
from langchain_classic.chains.query_constructor.parser import get_parser
from langchain_classic.chains.query_constructor.schema import AttributeInfo
from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel
from langchain_core.structured_query import Comparator, Comparison, Operator, StructuredQuery

from langchain_vicinal import VicinalEmbeddings, VicinalTranslator, VicinalVectorStore
from vicinal.errors import InvalidArgumentError, VicinalError
from vicinal.testing import HashEmbeddingFunction

PAPERS = {
    "ann": {
        "year": 2018,
        "score": 4.5,
        "title": "Graphs 100% faster",
        "topics": ["ann", "graphs"],
        "pages": [1, 7],
        "open": True,
    },
    "db": {"year": 2020, "score": 3, "title": "Rows and columns", "topics": ["db"], "open": False},
    "both": {"year": 2020, "title": "graphs_in_rows", "topics": ["ann", "db"], "seen": date(2024, 1, 2)},
    "noon": {"seen": datetime(2024, 1, 2, 12, tzinfo=timezone.utc), "title": None, "topics": []},
    "text": {"seen": "2024-01-02T18:30:00Z"},
    "later": {"seen": "2024-01-03", "year": "2020"},
}
ALL = set(PAPERS)
FOUND = {
    'eq("year", 2020)': {"db", "both"},
    'eq("year", 2020.0)': {"db", "both"},
    'eq("year", "2020")': {"later"},
    'eq("open", true)': {"ann"},
    'ne("year", 2020)': ALL - {"db", "both"},
    'gt("year", 2018)': {"db", "both"},
    'gte("year", 2018)': {"ann", "db", "both"},
    'lt("score", 4.5)': {"db"},
    'lte("score", 4.5)': {"ann", "db"},
    'in("year", [2018, "2020"])': {"ann", "later"},
    'in("year", [])': set(),
    'in("topics", "db")': set(),
    'nin("year", [2018, 2020])': {"noon", "text", "later"},
    'contain("topics", "ann")': {"ann", "both"},
    'contain("topics", ["ann", "db"])': {"both"},
    'contain("title", "raph")': {"ann", "both"},
    'contain("title", "100%")': {"ann"},
    'contain("title", "s_i")': {"both"},
    'contain("pages", 7)': {"ann"},
    'like("title", "%raphs%")': {"ann", "both"},
    'like("title", "graphs_in%")': {"both"},
    'like("title", "graphs")': set(),
    'and(gt("year", 2018), contain("topics", "db"))': {"db", "both"},
    'or(eq("year", 2018), eq("open", false))': {"ann", "db"},
    'not(eq("year", 2020))': ALL - {"db", "both"},
    'not(eq("year", 2020), eq("year", 2018))': {"noon", "text", "later"},
    'and(eq("year", 2018))': {"ann"},
    'and(or(eq("year", 2018), eq("year", 2020)), not(contain("topics", "ann")))': {"db"},
    'eq("seen", 2024-01-02)': {"both", "noon", "text"},
    'ne("seen", 2024-01-02)': {"ann", "db", "later"},
    'gt("seen", 2024-01-02)': {"later"},
    'gte("seen", 2024-01-02)': {"both", "noon", "text", "later"},
    'lt("seen", 2024-01-03)': {"both", "noon", "text"},
    'lte("seen", 2024-01-02)': {"both", "noon", "text"},
    'lte("seen", 9999-12-31)': {"both", "noon", "text", "later"},
    'in("seen", [2024-01-02, 2024-01-03])': {"both", "noon", "text", "later"},
    'nin("seen", [2024-01-02])': {"ann", "db", "later"},
    'gt("seen", "2024-01-02T11:59:59Z")': {"noon"},
    'lte("seen", "2024-01-02T12:00:00Z")': {"both", "noon"},
    'eq("seen", "2024-01-02T12:00:00")': {"noon"},
}


@pytest.fixture(scope="module")
def papers():
    model = VicinalEmbeddings(HashEmbeddingFunction())
    return VicinalVectorStore.from_texts(PAPERS, model, PAPERS.values(), ids=PAPERS)


def parsed(text):
    return get_parser(list(Comparator), list(Operator)).parse(text)


@pytest.mark.parametrize("text", FOUND)
def test_a_condition_selects_what_it_says(papers, text):
    query, search = VicinalTranslator().visit_structured_query(StructuredQuery("words", parsed(text)))
    assert query == "words"
    assert {document.id for document in papers.similarity_search("words", k=10, **search)} == FOUND[text]


LAST = {
    "day": date.max,
    "moment": datetime.max,
    "text": "9999-12-31",
    "hour": "9999-12-31T12:00",
    "before": date(2024, 1, 2),
}
ON_THE_LAST_DAY = {"day", "moment", "text", "hour"}


@pytest.mark.parametrize(
    ("operator", "found"),
    [
        ("eq", ON_THE_LAST_DAY),
        ("ne", {"before"}),
        ("gte", ON_THE_LAST_DAY),
        ("gt", set()),
        ("lte", {*LAST}),
        ("lt", {"before"}),
    ],
)
def test_the_last_day_that_there_is_has_an_end(operator, found):
    store = VicinalVectorStore(VicinalEmbeddings(HashEmbeddingFunction()))
    store.add_texts(LAST, [{"until": value} for value in LAST.values()], ids=LAST)
    value = {"type": "date", "date": "9999-12-31"}
    condition = Comparison(comparator=Comparator(operator), attribute="until", value=value)
    _, search = VicinalTranslator().visit_structured_query(StructuredQuery("words", condition))
    assert {document.id for document in store.similarity_search("words", k=10, **search)} == found


def test_a_query_without_a_condition_searches_everywhere():
    assert VicinalTranslator().visit_structured_query(StructuredQuery("words", None)) == ("words", {})


def test_every_comparator_and_operator_may_be_used():
    assert set(VicinalTranslator.allowed_comparators) == set(Comparator)
    assert set(VicinalTranslator.allowed_operators) == set(Operator)


@pytest.mark.filterwarnings("ignore:Dates are expected")
@pytest.mark.parametrize(
    "text",
    ['gt("seen", "2024-13-45")', 'like("seen", 2024-01-02)', 'contain("seen", 2024-01-02)'],
)
def test_a_date_that_means_nothing_is_refused_by_name(text):
    condition = parsed(text)
    if isinstance(condition.value, str):
        condition.value = {"type": "date", "date": condition.value}
    with pytest.raises(InvalidArgumentError, match="'seen'"):
        VicinalTranslator().visit_structured_query(StructuredQuery("", condition))


ANSWER = '```json\n{"query": "graphs", "filter": "gt(\\"year\\", 2018)"}\n```'
YEAR = AttributeInfo(name="year", description="when it appeared", type="integer")


def retriever(store, answer=ANSWER, **options):
    return store.as_self_query_retriever(FakeListChatModel(responses=[answer]), "papers", [YEAR], **options)


async def test_the_store_makes_the_retriever(papers):
    assert {d.id for d in retriever(papers).invoke("q")} == {"db", "both"}
    assert {d.id for d in await retriever(papers).ainvoke("q")} == {"db", "both"}
    limited = ANSWER.replace("}", ', "limit": 1}')
    assert len(retriever(papers, limited, enable_limit=True).invoke("q")) == 1
    assert {d.id for d in retriever(papers, search_type="mmr").invoke("q")} == {"db", "both"}
    assert {d.id for d in retriever(papers, search_type="hybrid").invoke("q")} == {"db", "both"}


def test_attributes_may_be_dicts_and_the_translator_ones_own(papers):
    class Everything(VicinalTranslator):
        def visit_structured_query(self, structured_query):
            return structured_query.query, {}

    made = papers.as_self_query_retriever(
        FakeListChatModel(responses=[ANSWER]),
        "papers",
        [{"name": "year", "description": "when", "type": "integer"}],
        structured_query_translator=Everything(),
        search_kwargs={"k": 6},
    )
    assert len(made.invoke("q")) == 6


@pytest.mark.parametrize("name", ["filter", "where"])
async def test_the_models_filter_selects_among_what_the_programs_does(papers, name):
    fixed = {name: {"year": {"$lt": 2020}}}
    wide = '```json\n{"query": "q", "filter": "or(gt(\\"year\\", 0), lt(\\"year\\", 0))"}\n```'
    none = '```json\n{"query": "q", "filter": "NO_FILTER"}\n```'
    allowed = {d.id for d in papers.similarity_search("q", k=100, **fixed)}
    assert 0 < len(allowed) < papers.count()
    for answer in (wide, none):
        made = retriever(papers, answer, search_kwargs={"k": 100, **fixed})
        assert {d.id for d in made.invoke("q")} <= allowed
        assert {d.id for d in await made.ainvoke("q")} <= allowed
    with pytest.raises(InvalidArgumentError, match="names of one argument"):
        retriever(papers, search_kwargs={"filter": {"a": 1}, "where": {"a": 1}})


@pytest.mark.parametrize("package", ["langchain_classic.retrievers", "lark"])
def test_a_package_that_is_missing_is_named(store, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ImportError, match=rf"needs the package {package}.*langchain-vicinal\[self-query\]"
    ) as caught:
        retriever(store)
    assert isinstance(caught.value, VicinalError)


def test_a_package_that_is_there_and_broken_is_not_called_missing(store, monkeypatch):
    monkeypatch.setitem(
        sys.modules, "langchain_classic.retrievers", ModuleType("langchain_classic.retrievers")
    )
    with pytest.raises(ImportError, match="cannot import name") as caught:
        retriever(store)
    assert not isinstance(caught.value, VicinalError)


def test_documents_without_the_attribute_are_no_error(store):
    store.add_documents([Document("graphs")])
    assert retriever(store).invoke("q") == []
