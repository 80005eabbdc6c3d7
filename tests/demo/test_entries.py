"""A long text becomes several entries, none of them too long and each under its name."""

from __future__ import annotations

from demo.entries import PIECE_CHARS, Passage, entries_of, pieces_of, sections_of, slug, with_ids_of_their_own

LONG = "\n\n".join(f"Paragraph {n} " + "word " * 40 for n in range(20))


def test_the_pieces_of_a_passage_share_its_name() -> None:
    found = list(entries_of([Passage("m.f", "m.f", LONG, {"kind": "function"})]))
    assert [entry.id for entry in found[:3]] == ["m.f", "m.f#2", "m.f#3"]
    assert all(entry.text.startswith("m.f\n\nParagraph") for entry in found)
    assert [(e.metadata["chunk"], e.metadata["chunks"]) for e in found[:2]] == [
        (1, len(found)),
        (2, len(found)),
    ]


def test_nothing_of_a_text_is_lost_or_said_twice() -> None:
    assert "\n\n".join(pieces_of(LONG)).split() == LONG.split()


def test_no_piece_is_too_long() -> None:
    assert max(map(len, pieces_of(LONG))) <= PIECE_CHARS


def test_a_paragraph_that_is_too_long_is_cut_between_its_lines() -> None:
    lines = [f"line {n} " + "x" * 60 for n in range(40)]
    found = pieces_of("\n".join(lines))
    assert max(map(len, found)) <= PIECE_CHARS
    assert "\n".join(found).split("\n") == lines


def test_the_summary_of_a_long_docstring_is_a_piece_of_its_own() -> None:
    body = "Merge inputs.\n\n" + "More about it. " * 30
    found = list(entries_of([Passage("m.f", "m.f", body, begins_with_summary=True)]))
    assert found[0].text == "m.f\n\nMerge inputs."


def test_an_empty_passage_gives_no_entry() -> None:
    assert list(entries_of([Passage("m.f", "m.f", " \n\n ")])) == []


def test_of_two_passages_with_one_id_the_first_stays() -> None:
    found = list(entries_of([Passage("a", "", "first"), Passage("a", "", "second")]))
    assert [(entry.id, entry.text) for entry in found] == [("a", "first")]


def test_passages_of_one_id_are_told_apart() -> None:
    passages = [Passage(id, "", id) for id in ("a", "a", "a-2", "a-3", "a")]
    assert [p.id for p in with_ids_of_their_own(passages)] == ["a", "a-2", "a-2-2", "a-3", "a-4"]


def test_sections_know_the_headings_above_them() -> None:
    text = "intro\n\nTop\n===\n\none\n\nSub\n---\n\ntwo\n\nNext\n====\n\nthree\n"
    assert sections_of(text) == [
        ((), 1, "intro"),
        (("Top",), 3, "one"),
        (("Top", "Sub"), 8, "two"),
        (("Next",), 13, "three"),
    ]


def test_a_text_without_headings_is_one_section() -> None:
    assert sections_of("just\ntext") == [((), 1, "just\ntext")]


def test_a_table_rule_is_no_heading() -> None:
    assert sections_of("=====  ====\na      b\n=====  ====\n1      2")[0][0] == ()


def test_a_slug_is_readable() -> None:
    assert slug('The "with" statement') == "the-with-statement"
