"""The command answers, opens what it built, and says what is wrong in one line."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from demo import library
from demo.__main__ import main
from demo.display import make_console
from demo.questions import SHOWN, questions_about
from demo.reader import NAME


def test_the_demo_answers_every_shown_question(demo) -> None:
    status, printed = demo()
    assert status == 0
    for question in SHOWN:
        assert question.text in printed
    assert printed.count(f"Answer ({NAME})") == len(SHOWN)
    assert printed.count("Without the filter:") == sum(bool(q.filter) and q.mmr is None for q in SHOWN)
    assert printed.count("Without MMR:") == sum(q.mmr is not None for q in SHOWN)
    assert printed.count(" ms (search ") == len(SHOWN)


def test_a_second_run_embeds_nothing(demo) -> None:
    _, printed = demo("--ask", "How do I merge sorted inputs?")
    assert "nothing to embed in" in printed
    assert "embedding entries" not in printed


def test_anything_can_be_asked(demo) -> None:
    _, printed = demo("--ask", "How do I round a number?", "--ask", "How do I sort?", "-k", "3", "--mmr", "1")
    assert "1 · LangChain · MMR λ = 1.0" in printed
    assert "How do I sort?" in printed


def test_a_filter_can_be_given(demo) -> None:
    _, printed = demo(
        "--ask", "with?", "--filter", "kind=topic", "--filter", "name=with", "--with", "llama-index"
    )
    assert "LlamaIndex · filter kind == topic and name == with" in printed
    assert "help/with/the-with-statement" in printed


def test_a_filter_that_nothing_passes_is_said(demo) -> None:
    _, printed = demo("--ask", "anything", "--filter", "kind=nothing")
    assert "No entry passes the filter." in printed
    assert "Sources none" in printed


def test_a_folder_is_asked_like_the_docs(demo, tmp_path: Path) -> None:
    notes = tmp_path / "my notes"
    notes.mkdir()
    (notes / "garden.md").write_text("# Watering the tomatoes\n\nWater the tomatoes every morning.\n")
    (notes / "latin.txt").write_bytes(b"caf\xe9")
    arguments = ("--path", str(notes), "--ask", "How often do I water the tomatoes?")
    status, printed = demo(*arguments, data=tmp_path / "data")
    assert status == 0
    assert "skipped latin.txt: not UTF-8 text (byte 3)" in printed
    assert "Water the tomatoes every morning. [1]" in printed
    assert "Sources [1] garden.md:1" in printed
    assert "nothing to embed in" in demo(*arguments, data=tmp_path / "data")[1]


def test_a_folder_without_a_question_is_asked_for_its_headings(demo, tmp_path: Path) -> None:
    (tmp_path / "garden.md").write_text("# Watering the tomatoes\n\nEvery morning.\n")
    _, printed = demo("--path", str(tmp_path), data=tmp_path / "data")
    assert "1 · LangChain" in printed
    assert "Watering the tomatoes" in printed
    assert f"make demo ARGS='--path {tmp_path} --ask" in printed


def test_the_hint_is_a_command_that_asks_the_same_texts(demo, tmp_path: Path) -> None:
    notes = tmp_path / "my $5 'notes'"
    notes.mkdir()
    (notes / "garden.md").write_text("# Watering the tomatoes\n\nEvery morning.\n")
    _, printed = demo("--path", str(notes), data=tmp_path / "data")
    [_, given] = shlex.split(printed.rpartition("Ask your own: make ")[2])
    asked = shlex.split(given.removeprefix("ARGS=").replace("$$", "$"))
    assert asked == ["--path", str(notes), "--ask", "…", "--data", str(tmp_path / "data")]


def test_ids_are_shown_as_they_are(demo, tmp_path: Path) -> None:
    (tmp_path / ":id: [b].md").write_text("# Watering :cat: [b] \n\nEvery :morning: [b]\n")
    _, printed = demo("--path", str(tmp_path), data=tmp_path / "data")
    assert " :id: [b].md/watering-cat-b " in printed
    assert " Every :morning: [b]" in printed


def test_names_that_are_not_utf_8_are_shown_as_escapes(demo, tmp_path: Path) -> None:
    try:
        notes = tmp_path / os.fsdecode(b"notes \xfe")
        notes.mkdir()
        for name in (b"\xff.md", b"\xfe.md"):
            (notes / os.fsdecode(name)).write_text("# Watering the tomatoes\n\nEvery morning.\n")
    except (OSError, UnicodeDecodeError):
        pytest.skip("this file system takes no such names")
    arguments = ("--path", str(notes), "--ask", "How often do I water the tomatoes?")
    status, printed = demo(*arguments, data=tmp_path / "data")
    assert status == 0
    assert r"\udcff.md/watering-the-tomatoes" in printed
    assert r"\udcfe.md/watering-the-tomatoes" in printed
    assert "nothing to embed in" in demo(*arguments, data=tmp_path / "data")[1]


def test_what_stdout_cannot_hold_is_printed_as_an_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    with io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        make_console().print("notes \udcfe")
        assert stdout.buffer.getvalue() == b"notes \\udcfe\n"


def test_headings_are_spread_over_a_folder() -> None:
    names = [{"name": f"2.{n} part number {'abcdefghi'[n]}"} for n in range(9)]
    assert [q.text[-1] for q in questions_about(names)] == ["b", "e", "h"]
    assert [q.text for q in questions_about([{"name": "f(x)"}])] == ["f(x)"]
    assert [q.text for q in questions_about([{"name": "1.2"}])] == ["1.2"]
    assert [q.text for q in questions_about([{"name": "f(x)"}, {"name": "Install"}])] == ["Install"]
    assert [q.text for q in questions_about([{"name": "a b c d e f g h i"}, {"name": "A-B"}])] == ["A-B"]


@pytest.mark.parametrize("name", ["ab" * 5_000 + ".tar", "トマトの水やり" * 500 + "？", "a b " * 5_000 + "!"])
def test_a_long_heading_is_no_obstacle(name: str) -> None:
    assert [q.text for q in questions_about([{"name": name}])] == [name.strip()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--mmr", "2"), "2 is not between 0 and 1"),
        (("-k", "0"), "0 is not 1 or more"),
        (("--filter", "x"), "expected KEY=VALUE"),
        (("--filter", "lines<=1.5"), "lines is compared with whole numbers, and '1.5' is none"),
        (("--filter", "chunk=1,"), "chunk is compared with whole numbers, and '' is none"),
        (("--filter", "line=" + "9" * 20), "line is compared with whole numbers"),
        (("--with", "x"), "invalid choice"),
        (("--with", "langchain"), "argument --with: only with --ask"),
        (("--path", ".", "--mmr", "0"), "argument --mmr: only with --ask"),
        (("--evaluate", "--filter", "kind=topic"), "argument --filter: only with --ask"),
        (("--evaluate", "--ask", "x"), "argument --ask: not allowed with argument --evaluate"),
        (("--evaluate", "--path", "."), "argument --path: not allowed with argument --evaluate"),
        (("--ask", ""), "argument --ask: the question is empty"),
        (("--ask", " \n"), "argument --ask: the question is empty"),
        (("--ask", "caf\udce9 words"), r"argument --ask: not valid Unicode text: caf\udce9 words"),
    ],
)
def test_a_wrong_argument_is_refused(arguments, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["nowhere", "x" * 300, "~nobody-of-this-name/notes"])
def test_a_missing_folder_is_an_error(demo, tmp_path: Path, monkeypatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    status, printed = demo("--path", name, data=tmp_path / "data")
    assert status == 2
    assert "it does not exist" in printed


def test_a_folder_that_is_a_circle_of_links_is_an_error(demo, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    status, printed = demo("--path", str(tmp_path / "a"), data=tmp_path / "data")
    assert (status, "it does not exist" in printed) == (2, True)


@pytest.mark.parametrize("framework", ["langchain", "llama-index"])
def test_a_folder_of_digits_and_numbers_can_be_filtered_by(demo, tmp_path: Path, framework: str) -> None:
    (tmp_path / "2024").mkdir()
    (tmp_path / "2024" / "garden.md").write_text("# Watering\n\nEvery morning.\n")
    (tmp_path / "other.md").write_text("# Watering\n\nEvery\nevening.\n")
    asked = ("--path", str(tmp_path), "--ask", "When?", "--with", framework, "--filter")
    _, by_name = demo(*asked, "package=2024", data=tmp_path / "data")
    _, by_lines = demo(*asked, "lines=2, 3", data=tmp_path / "data")
    assert ("2024/garden.md/" in by_name, "other.md/" in by_name) == (True, False)
    assert ("2024/garden.md/" in by_lines, "other.md/" in by_lines) == (False, True)


def test_a_data_directory_that_is_a_file_is_an_error(demo, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    status, printed = demo("--ask", "x", data=tmp_path / "file")
    assert status == 1
    assert printed.startswith("Error: ")


def test_an_interruption_says_that_nothing_is_lost(
    demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(library, "open_python_docs", interrupt)
    status, printed = demo(data=tmp_path / "data")
    assert status == 130
    assert "the next run goes on from there" in printed


ROOT = Path(__file__).parents[2]


def test_an_interruption_of_its_imports_is_one(tmp_path: Path) -> None:
    (tmp_path / "rich.py").write_text("raise KeyboardInterrupt\n")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "demo", "--data", str(tmp_path / "data")]
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")
    assert "the next run goes on from there" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="has no /dev/full, and another error for a closed pipe")
@pytest.mark.parametrize("output", ["full", "closed"])
def test_an_output_that_cannot_be_written_is_said_in_a_line(tmp_path: Path, output: str) -> None:
    (tmp_path / "garden.md").write_text("# Watering the tomatoes\n\nEvery morning.\n")
    arguments = ["--path", str(tmp_path), "--ask", "When?", "--reader", "--data", str(tmp_path / "data")]
    if output == "full" and not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    read, write = os.pipe()
    os.close(read)
    with open("/dev/full" if output == "full" else write, "w") as stdout:
        done = subprocess.run(
            [sys.executable, "-m", "demo", *arguments],
            cwd=ROOT,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    said = "Error: [Errno 28] No space left on device\n" if output == "full" else ""
    assert (done.returncode, done.stderr) == (2, said)


def test_the_evaluation_is_printed(demo) -> None:
    _, printed = demo("--evaluate")
    assert "hit@5 = " in printed
