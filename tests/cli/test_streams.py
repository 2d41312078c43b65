"""Streams that are full, gone or of few characters, paths that the system refuses, tables and printed commands."""

import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenssim.cli.table import print_table
from lenssim.commands import command, quoted
from lenssim.notes import say

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")


@needs_full
@pytest.mark.parametrize(
    "arguments",
    [["models"], ["--help"], ["--version"], ["doctor", "--json", "--workers", "0"]],
)
def test_a_full_stdout_is_an_error_in_one_line(arguments, lenssim, monkeypatch):
    with FULL.open("w") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        done = lenssim(*arguments)
    assert done.code == 1
    assert done.err == "lenssim: cannot write to stdout: No space left on device\n"


@needs_full
def test_a_full_stderr_stops_nothing(lenssim, monkeypatch):
    with FULL.open("w") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", full)
        done = lenssim(
            "generate",
            "-m",
            "III",
            "-n",
            3,
            "--workers",
            0,
            "--engine",
            "lenstronomy",
            "-o",
            "D",
        )
    assert done.code == 0
    assert "3 images" in done.out


def test_streams_that_are_absent_stop_nothing(lenssim, monkeypatch):
    with monkeypatch.context() as patch:
        for name in ("stdin", "stdout", "stderr"):
            patch.setattr(sys, name, None)
        say("nobody hears this")
        done = lenssim("models")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_a_reader_that_left_is_no_traceback(lenssim, monkeypatch):
    end, start = os.pipe()
    os.close(end)
    pipe = os.fdopen(start, "w")
    with pipe, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", pipe)
        done = lenssim("models")
    assert (done.code, done.err) == (1, "")


LONG = "x" * 300
PATHS = {
    "too long": LONG,
    "below a file": "file/D",
    "a link to itself": "loop/D",
    "a file": "file",
}
COMMANDS = {
    "generate": ["generate", "-m", "III", "-n", 3, "--workers", 0, "-o"],
    "verify": ["verify"],
    "info": ["info"],
    "show": ["show"],
    "seal": ["seal"],
    "models": ["models"],
    "render": ["render", "--engine", "lenstronomy", "-o", "x.npy", "-m"],
    "import": ["import", "deeplense", "-o", "E"],
    "export": ["export", "-o", "E"],
    "repack": ["repack", "-o", "E"],
    "evaluate": ["evaluate", "-d", "D"],
    "predict": ["predict", "R"],
    "audit": ["audit"],
    "run": ["run"],
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_path_that_cannot_be_is_told_in_one_line(words, path, lenssim, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    done = lenssim(*words, path)
    assert done.code in (1, 2, 3)
    assert "Traceback" not in done.err
    assert done.err.strip() or done.out.strip()


@pytest.mark.parametrize(
    "words", [["render", "-m", "III", "--engine", "lenstronomy", "-o"]]
)
def test_a_file_that_cannot_be_written_is_told(words, lenssim):
    done = lenssim(*words, f"{LONG}.npy")
    assert done.code == 1
    assert "File name too long" in done.err


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


NAME = "a_very_long_name_" + "x" * 120 + ".npy"


def printed(stream, *cells):
    before, sys.stdout = sys.stdout, stream
    try:
        print_table(["file", "class"], [cells])
    finally:
        sys.stdout = before
    stream.flush()


def test_a_pipe_gets_whole_names(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    printed(stream, NAME, "[red]cdm")
    head, line = stream.buffer.getvalue().decode().splitlines()
    assert line.split() == [NAME, "[red]cdm"]
    assert head.split() == ["file", "class"]


def test_a_terminal_gets_folded_names(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    printed(stream, NAME, "cdm")
    assert NAME in stream.getvalue().replace("\n", "").replace(" ", "").replace(
        "cdm", ""
    ).removeprefix("fileclass")
    assert max(map(len, stream.getvalue().splitlines())) <= 40


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_stream_gets_only_what_it_can_hold(encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    printed(stream, "空白…", "a\x1b[2Jb\udcff")
    text = stream.buffer.getvalue().decode(encoding)
    assert "\x1b" not in text
    assert ("空白" in text) == (encoding == "utf-8")


@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
)
def test_a_shell_reads_the_word_that_was_printed(word):
    text = quoted(word)
    assert text.isprintable()
    if word.isprintable():
        assert shlex.split(text) == [word]


@pytest.mark.parametrize(
    "word", ["a\nb", "tab\tand 'quote'", "back\\slash\x1b", "\u202eé空", "a\udcffb"]
)
def test_bash_reads_escaped_words(word):
    done = subprocess.run(["bash", "-c", f"printf %s {quoted(word)}"], capture_output=True)
    assert done.stdout == os.fsencode(word)


def test_a_command_is_one_line_for_a_shell():
    assert shlex.split(command("train", "--out", "a b", 3)) == [
        "lenssim",
        "train",
        "--out",
        "a b",
        "3",
    ]


@pytest.mark.parametrize(
    ("message", "is_of_the_system"),
    [
        ("libtorch_cpu.so: failed to map segment from shared object", True),
        ("libc.so.6: cannot open shared object file: No such file or directory", True),
        ("libgomp.so.1: cannot allocate memory in static TLS block", True),
        ("cannot import name 'nonsense' from 'lenssim'", False),
        ("No module named 'nonsense'", False),
    ],
)
def test_a_library_that_cannot_be_loaded_is_told_in_a_line(
    lenssim, monkeypatch, message, is_of_the_system
):
    def fails() -> None:
        raise ImportError(message)

    monkeypatch.setattr("lenssim.simulate.preset.presets", fails)
    if not is_of_the_system:
        with pytest.raises(ImportError):
            lenssim("models")
        return
    done = lenssim("models")
    assert done.code == 2
    assert message in done.err
    assert "lenssim doctor" in done.err
