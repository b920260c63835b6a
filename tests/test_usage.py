"""A wrong command line is refused in one line with exit code 2, and no output controls the terminal."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from lrlc.harness.cli.app import app, main
from lrlc.harness.text import pass_on, print_json, say, show

WRONG = {
    "run x.yaml --bugdet-hours 3": "no such option: --bugdet-hours (Possible options: --budget-hours); "
    "see `lrlc run --help`",
    "run": "missing argument 'STUDY'; see `lrlc run --help`",
    "run x.yaml --processes many": "invalid value for '--processes': expected a whole number, got 'many'; "
    "see `lrlc run --help`",
    "run x.yaml --processes 0": "invalid value for '--processes': expected at least 1, got '0'; "
    "see `lrlc run --help`",
    "rnu": "no such command 'rnu'. Did you mean 'run'?; see `lrlc --help`",
    "data chekc x": "no such command 'chekc'. Did you mean 'check'?; see `lrlc data --help`",
    "jobs x": "got unexpected extra argument(s) (x); see `lrlc jobs --help`",
    "compare a b --margin inf": "invalid value for '--margin': inf is not a finite number; "
    "see `lrlc compare --help`",
    "data check mnist@0x0": "mnist@0x0: expected whole numbers of pixels from 1, got (0, 0)",
}


def ended(words: list[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "argv", ["lrlc", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_command_line_is_refused_in_one_line(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ended(words.split(), monkeypatch) == 2
    said = capsys.readouterr()
    assert said.err.splitlines() == [f"lrlc: {WRONG[words]}"]
    assert said.out == ""
    assert not list(tmp_path.iterdir())


def commands(group: Any, name: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for word, command in group.commands.items():
        inner = (*name, word)
        yield from commands(command, inner) if hasattr(command, "commands") else [(inner, command)]


def test_every_command_refuses_an_unknown_option_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [name for name, _ in commands(typer.main.get_command(app))]
    assert len(found) > 20
    for name in found:
        assert ended([*name, "--no-such-option"], monkeypatch) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("lrlc: no such option: --no-such-option")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_no_float_option_may_be_infinite_or_nan(
    value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = 0
    for name, command in commands(typer.main.get_command(app)):
        required = ["x" for each in command.params if each.param_type_name == "argument" and each.required]
        for each in command.params:
            if each.type_descriptor.annotation is not float:
                continue
            tried += 1
            given = (
                [f"--{each.name.replace('_', '-')}={value}"] if each.opts[0][:2] == "--" else ["--", value]
            )
            assert ended([*name, *required, *given], monkeypatch) == 2, (name, each.name)
            (line,) = capsys.readouterr().err.splitlines()
            assert line.startswith("lrlc: invalid value for"), line
    assert tried >= 3


def test_a_command_without_arguments_shows_its_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in ([], ["data"]):
        assert ended(words, monkeypatch) == 2
        said = capsys.readouterr()
        assert "Usage: lrlc" in said.out
        assert said.err == ""


def test_no_output_can_control_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b]0;owned\x07 \x1b[2J \u202egnp.exe ftp://me:hunter2@host"
    log = io.StringIO()
    say(hostile)
    show(hostile)
    pass_on(hostile)
    pass_on(f"{hostile}\n\tnext line", log)
    print_json({"error": hostile})
    said = capsys.readouterr()
    for text in (said.out, said.err, log.getvalue()):
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
        assert "\\x1b]0;owned\\x07" in text or "\\u001b" in text
    assert "hunter2" not in said.err + log.getvalue()
    assert log.getvalue().endswith("\n\tnext line")
