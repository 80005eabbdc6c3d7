"""What is in one database of one tenant is seen from there and from nowhere else, and goes with it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.engine.held import held_of

import vicinal
from vicinal.cli import main
from vicinal.config import Settings
from vicinal.errors import ClosedError, InvalidArgumentError, NotFoundError, UniqueConstraintError
from vicinal.testing import FaultyFiles, check, open_with


@pytest.fixture
def acme(client: vicinal.Client) -> vicinal.Client:
    """A client with a tenant "acme" that has the databases "one" and "two"; it stands in the default one."""
    client.create_tenant("acme")
    client.create_database("one", tenant="acme")
    client.create_database("two", tenant="acme")
    return client


def fill(client: vicinal.Client, *ids: str) -> vicinal.Collection:
    """The collection "things" where the client stands, holding these records."""
    things = client.create_collection("things", embedding_function=None)
    things.add(ids=list(ids), embeddings=[[float(len(id)), 1.0] for id in ids])
    return things


def directories(path: Path) -> set[str]:
    return {entry.name for entry in (path / "collections").iterdir()}


# --- what there is -----------------------------------------------------------------------------


def test_a_client_stands_in_the_default_database(client):
    assert (client.tenant, client.database) == ("default_tenant", "default_database")


def test_there_is_one_tenant_with_one_database_at_first(client):
    assert client.list_tenants() == [{"name": "default_tenant"}]
    assert [space["name"] for space in client.list_databases()] == ["default_database"]


def test_a_tenant_is_told_by_its_name(acme):
    assert acme.get_tenant("acme") == {"name": "acme"}


def test_a_new_tenant_has_no_database(client):
    client.create_tenant("acme")
    assert client.list_databases(tenant="acme") == []


def test_a_database_is_told_with_its_id_and_tenant(acme):
    found = acme.get_database("one", tenant="acme")
    assert (found["name"], found["tenant"]) == ("one", "acme")
    assert isinstance(found["id"], UUID)


def test_databases_come_in_order_of_name(acme):
    acme.create_database("alpha", tenant="acme")
    assert [space["name"] for space in acme.list_databases(tenant="acme")] == ["alpha", "one", "two"]


@pytest.mark.parametrize(
    ("page", "names"),
    [((1, 0), ["one"]), ((1, 1), ["two"]), ((0, 0), []), ((5, 1), ["two"]), ((None, 1), ["two"])],
)
def test_databases_come_in_pages(acme, page, names):
    assert [space["name"] for space in acme.list_databases(*page, tenant="acme")] == names


def test_tenants_come_in_pages(acme):
    assert acme.list_tenants(limit=1) == [{"name": "acme"}]
    assert acme.list_tenants(offset=1) == [{"name": "default_tenant"}]


def test_one_name_serves_for_databases_of_several_tenants(acme):
    acme.create_database("one")
    ids = {acme.get_database("one", tenant=tenant)["id"] for tenant in ("acme", "default_tenant")}
    assert len(ids) == 2


def test_the_clients_own_tenant_is_meant_when_none_is_named(acme):
    acme.set_tenant("acme", "one")
    acme.create_database("three")
    assert [space["name"] for space in acme.list_databases()] == ["one", "three", "two"]


# --- isolation ---------------------------------------------------------------------------------


def test_each_database_has_collections_of_its_own(acme):
    fill(acme, "default")
    acme.set_tenant("acme", "one")
    fill(acme, "a", "b")
    acme.set_database("two")
    assert acme.list_collections() == []
    fill(acme, "c")
    found = {}
    for tenant, database in [("default_tenant", "default_database"), ("acme", "one"), ("acme", "two")]:
        acme.set_tenant(tenant, database)
        found[database] = (acme.count_collections(), acme.get_collection("things").get()["ids"])
    assert found == {"default_database": (1, ["default"]), "one": (1, ["a", "b"]), "two": (1, ["c"])}


def test_a_collection_tells_where_it_is(acme):
    acme.set_tenant("acme", "two")
    things = fill(acme, "a")
    assert (things.tenant, things.database) == ("acme", "two")


def test_a_query_finds_nothing_of_another_database(acme):
    fill(acme, "a")
    acme.set_tenant("acme", "one")
    things = fill(acme, "bb")
    assert things.query(query_embeddings=[1.0, 1.0], n_results=9)["ids"] == [["bb"]]


def test_a_handle_keeps_to_its_database_when_the_client_goes_on(acme):
    things = fill(acme, "a")
    acme.set_tenant("acme", "one")
    things.add(ids="b", embeddings=[0.0, 0.0])
    assert (acme.count_collections(), things.get()["ids"]) == (0, ["a", "b"])


def test_a_collection_of_another_database_is_not_found_by_its_id(acme):
    id = fill(acme, "a").id
    acme.set_tenant("acme", "one")
    with pytest.raises(NotFoundError):
        acme.get_collection_by_id(id)


def test_deleting_a_collection_leaves_its_namesake_alone(acme):
    fill(acme, "a")
    acme.set_tenant("acme", "one")
    fill(acme, "b")
    acme.delete_collection("things")
    acme.set_tenant("default_tenant")
    assert acme.get_collection("things").get()["ids"] == ["a"]


def test_a_fork_stays_in_the_database_of_its_source(acme):
    acme.set_tenant("acme", "one")
    things = fill(acme, "a")
    acme.set_database("two")
    forked = things.fork("copied")
    assert (forked.tenant, forked.database) == ("acme", "one")


def test_what_one_client_makes_another_finds(new_client, tmp_path):
    new_client(tmp_path).create_tenant("acme")
    other = new_client(tmp_path)
    other.create_database("one", tenant="acme")
    with vicinal.PersistentClient(tmp_path, tenant="acme", database="one") as third:
        fill(third, "a")
    other.set_tenant("acme", "one")
    assert other.get_collection("things").get()["ids"] == ["a"]


# --- going somewhere ---------------------------------------------------------------------------


def test_a_client_opens_where_it_is_told_to(tmp_path):
    with vicinal.PersistentClient(tmp_path) as client:
        client.create_tenant("acme")
        client.create_database("two", tenant="acme")
    with vicinal.PersistentClient(tmp_path, tenant="acme", database="two") as other:
        assert (other.tenant, other.database) == ("acme", "two")


@pytest.mark.parametrize("space", [("nobody", "default_database"), ("default_tenant", "nothing")])
@pytest.mark.parametrize("opener", [vicinal.Client, vicinal.EphemeralClient])
def test_opening_where_there_is_nothing_is_an_error(opener, space):
    with pytest.raises(NotFoundError, match="does not exist"):
        opener(tenant=space[0], database=space[1])


@pytest.mark.skipif(sys.platform != "linux", reason="asks which files are open")
def test_a_client_that_finds_no_tenant_leaves_nothing_open(tmp_path):
    with pytest.raises(NotFoundError) as caught:
        vicinal.PersistentClient(tmp_path, tenant="nobody")
    assert held_of(tmp_path) == set(), caught


def test_a_client_that_cannot_go_stays_where_it_is(acme):
    for space in [("nobody", "one"), ("acme", "three"), ("acme",)]:
        with pytest.raises(NotFoundError):
            acme.set_tenant(*space)
    with pytest.raises(NotFoundError):
        acme.set_database("three")
    assert (acme.tenant, acme.database) == ("default_tenant", "default_database")


# --- errors ------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "tenant that exists": (lambda c: c.create_tenant("acme"), UniqueConstraintError, "already exists"),
    "database that exists": (
        lambda c: c.create_database("one", tenant="acme"),
        UniqueConstraintError,
        "already exists",
    ),
    "database of nobody": (
        lambda c: c.create_database("abc", tenant="nobody"),
        NotFoundError,
        r"Tenant \[nobody\]",
    ),
    "databases of nobody": (lambda c: c.list_databases(tenant="nobody"), NotFoundError, "create_tenant"),
    "short tenant": (lambda c: c.create_tenant("ab"), InvalidArgumentError, "at least 3 characters"),
    "short database": (lambda c: c.create_database("ab"), InvalidArgumentError, "at least 3 characters"),
    "tenant of bytes": (lambda c: c.create_tenant(b"acme"), TypeError, "name to be a str"),
    "half a character": (lambda c: c.create_tenant("ab\ud800"), InvalidArgumentError, "name"),
    "unknown tenant": (lambda c: c.get_tenant("nobody"), NotFoundError, "create_tenant"),
    "unknown database": (lambda c: c.get_database("nothing"), NotFoundError, "create_database"),
    "deleting no tenant": (lambda c: c.delete_tenant("nobody"), NotFoundError, "nobody"),
    "deleting no database": (lambda c: c.delete_database("nothing"), NotFoundError, "nothing"),
    "deleting a number": (lambda c: c.delete_database(5), TypeError, "name to be a str"),
    "negative limit": (lambda c: c.list_databases(limit=-1), InvalidArgumentError, "limit"),
    "no number": (lambda c: c.list_tenants(offset="a"), TypeError, "offset"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_refused_and_changes_nothing(acme, name):
    call, kind, words = REFUSED[name]
    before = (acme.list_tenants(), acme.list_databases(tenant="acme"))
    with pytest.raises(kind, match=words):
        call(acme)
    assert (acme.list_tenants(), acme.list_databases(tenant="acme")) == before


# --- deletion ----------------------------------------------------------------------------------


def test_a_database_goes_with_its_collections(acme):
    acme.set_tenant("acme", "one")
    things = fill(acme, "a")
    acme.delete_database("one")
    with pytest.raises(NotFoundError):
        things.count()
    assert [space["name"] for space in acme.list_databases()] == ["two"]


def test_a_tenant_goes_with_its_databases(acme):
    acme.set_tenant("acme", "two")
    things = fill(acme, "a")
    acme.delete_tenant("acme")
    with pytest.raises(NotFoundError):
        things.count()
    assert acme.list_tenants() == [{"name": "default_tenant"}]


def test_in_a_database_that_is_gone_nothing_is_found(acme):
    acme.set_tenant("acme", "one")
    acme.delete_database("one")
    for call in (
        acme.list_collections,
        acme.count_collections,
        lambda: acme.get_collection("things"),
        lambda: acme.create_collection("things", embedding_function=None),
    ):
        with pytest.raises(NotFoundError, match=r"Database \[one\]"):
            call()


def test_a_database_that_is_made_again_is_empty(acme):
    acme.set_tenant("acme", "one")
    fill(acme, "a")
    acme.delete_database("one")
    acme.create_database("one")
    assert acme.list_collections() == []


def test_deleting_a_database_leaves_the_others_alone(acme):
    kept = fill(acme, "a")
    acme.set_tenant("acme", "one")
    fill(acme, "b")
    acme.delete_database("one")
    assert kept.get()["ids"] == ["a"]


def test_the_default_database_can_be_deleted_and_made_again(client):
    fill(client, "a")
    client.delete_database("default_database")
    client.create_database("default_database")
    assert client.count_collections() == 0


def test_a_deleted_database_frees_its_disk(new_client, tmp_path):
    client = new_client(tmp_path)
    client.create_tenant("acme")
    client.create_database("one", tenant="acme")
    kept = fill(client, "a")
    client.set_tenant("acme", "one")
    fill(client, "b")
    client.delete_tenant("acme")
    assert directories(tmp_path) == {str(kept.id)}


class Stop(Exception):
    """Thrown at a step, as if the process had died there."""


def stopping(at: str) -> FaultyFiles:
    """A file system that throws at one step."""

    def on(step: str) -> None:
        if step == at:
            raise Stop

    return FaultyFiles(on)


@pytest.mark.parametrize(
    ("step", "left"),
    [
        ("delete tenant: before commit", ["acme", "default_tenant"]),
        ("delete tenant: committed", ["default_tenant"]),
    ],
)
def test_a_deletion_cut_short_is_whole_or_has_not_been(tmp_path, new_client, step, left):
    with vicinal.PersistentClient(tmp_path) as client:
        client.create_tenant("acme")
        client.create_database("one", tenant="acme")
        client.set_tenant("acme", "one")
        fill(client, "a")
    stopped = open_with(tmp_path, stopping(step))
    with pytest.raises(Stop):
        stopped.delete_tenant("acme")
    stopped.close()
    client = new_client(tmp_path)
    assert [tenant["name"] for tenant in client.list_tenants()] == left
    assert len(directories(tmp_path)) == len(left) - 1
    assert check(client) == []


# --- the admin client --------------------------------------------------------------------------


def test_the_admin_client_manages_a_directory(tmp_path):
    settings = Settings(is_persistent=True, persist_directory=str(tmp_path))
    with vicinal.AdminClient(settings) as admin:
        admin.create_tenant("acme")
        admin.create_database("one", tenant="acme")
    with vicinal.PersistentClient(tmp_path, tenant="acme", database="one") as client:
        assert client.database == "one"


def test_the_admin_client_means_the_default_tenant_when_none_is_named(tmp_path):
    with vicinal.AdminClient(Settings(is_persistent=True, persist_directory=tmp_path)) as admin:
        admin.create_database("one")
        assert admin.get_database("one")["tenant"] == "default_tenant"
        admin.delete_database("one")
        assert [space["name"] for space in admin.list_databases()] == ["default_database"]
    with pytest.raises(ClosedError):
        admin.list_databases()


def test_an_admin_client_of_no_directory_is_on_its_own():
    with vicinal.AdminClient() as admin, vicinal.EphemeralClient() as client:
        admin.create_tenant("acme")
        assert client.list_tenants() == [{"name": "default_tenant"}]


def test_findings_name_the_database_when_it_is_not_the_default_one(tmp_path):
    with vicinal.PersistentClient(tmp_path) as client:
        client.create_tenant("acme")
        client.create_database("one", tenant="acme")
        client.set_tenant("acme", "one")
        fill(client, "a")
    file = next(tmp_path.rglob("vectors-0.f32"))
    with file.open("r+b") as stream:
        stream.write(b"\x07")
    with vicinal.PersistentClient(tmp_path) as client:
        (finding,) = client.check()
    assert finding.startswith("collection acme/one/things: record 'a'")


# --- the command line --------------------------------------------------------------------------


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A directory with "things" of one record in two databases."""
    with vicinal.PersistentClient(tmp_path / "data") as client:
        client.create_tenant("acme")
        client.create_database("one", tenant="acme")
        fill(client, "a")
        client.set_tenant("acme", "one")
        fill(client, "b")
    return tmp_path / "data"


def test_info_lists_every_database(stored, capsys):
    assert main(["info", str(stored)]) == 0
    assert capsys.readouterr().out == "acme/one/things: 1 records\nthings: 1 records\n"


def test_a_directory_without_the_default_database_is_looked_after(stored, capsys):
    with vicinal.PersistentClient(stored) as client:
        client.delete_database("default_database")
    assert (main(["check", str(stored)]), main(["info", str(stored)])) == (0, 0)
    assert capsys.readouterr().out == "all is well\nacme/one/things: 1 records\n"


def test_one_collection_of_a_database_is_compacted(stored):
    with vicinal.PersistentClient(stored, tenant="acme", database="one") as client:
        client.get_collection("things").delete(ids="b")
    assert main(["compact", str(stored)]) == 0
    options = ["--collection", "things", "--tenant", "acme", "--database", "one"]
    assert main(["compact", *options, str(stored)]) == 0
    assert main(["compact", "--collection", "nothing", str(stored)]) == 2


def test_a_backup_holds_every_database(stored, tmp_path):
    assert main(["backup", str(stored), str(tmp_path / "copy")]) == 0
    with vicinal.PersistentClient(tmp_path / "copy", tenant="acme", database="one") as client:
        assert client.get_collection("things").get()["ids"] == ["b"]
