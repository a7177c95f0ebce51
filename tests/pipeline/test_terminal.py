"""A listener's evening at the terminal: the whole session, twice, and everything that can be mistyped.

The shell on a pseudo-terminal and the station below it are the real ones. Nothing here sleeps: every step waits for
words on the screen.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from shared.paths import Paths
from shared.runtime.locks import is_locked
from tests.pipeline.terminal import Terminal
from tests.pipeline.whole import ROOT


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The station's home; whatever still runs in it at the end is ended."""
    made = tmp_path_factory.mktemp("terminal") / "home"
    yield made
    command = [sys.executable, "-m", "services", "shutdown"]
    environment = {**os.environ, "INFINILOOP_HOME": str(made), "PYTHONPATH": str(ROOT)}
    subprocess.run(command, env=environment, stderr=subprocess.DEVNULL, check=False, timeout=30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the listener is: a folder with a blank and an accent."""
    assert shutil.which("unshare"), "unshare is missing: install util-linux"
    made = tmp_path_factory.mktemp("desk") / "meine Lieder é"
    made.mkdir()
    return made


def test_the_whole_session_twice(home: Path, folder: Path) -> None:
    for time, leaving in ((1, "l"), (2, "s")):
        with Terminal(home, folder) as terminal:
            _session(terminal, home, folder, time)
            terminal.types("quit\r")
            terminal.sees("Music plays")
            terminal.types(f"{leaving}\r")
            assert terminal.ends() == 0
            assert "Traceback" not in terminal.shown
        assert is_locked(Paths.under(home).runtime, "controller") == (leaving == "l")


def _session(terminal: Terminal, home: Path, folder: Path, time: int) -> None:
    """What the shell promises, line by line."""
    terminal.sees("music that goes on", "start 'calm piano", "Tab completes", r"127\.0\.0\.1:\d+/", "infini>")
    terminal.says(f"start 'ambient electronic loop {time}'", "Now for")
    terminal.sees(r"♪ ", r"\d+ s / \d+ s")
    terminal.says("status", "Playing", rf"electronic loop {time}", "sound  ", "page  ")
    terminal.says(f"save my_loop_{time}.wav", "Saved ", rf"my_loop_{time}\.wav")
    assert soundfile.info(folder / f"my_loop_{time}.wav").frames > 48_000
    for name, allowed, value in (
        ("model", "small, medium, large", "medium"),
        ("duration", "5 to 30 s", f"1{time}"),
        ("minlength", "1 to 20 s", f"{time + 2}"),
        ("minduration", "10 to 300 s", f"9{time}"),
        ("driver", "pulse, alsa, dsp", "null"),
    ):
        terminal.types(f"set {name}\r")
        terminal.sees(allowed, "New value")
        terminal.says(value, rf" is {value}\b")
    terminal.says("set model small", "model is small")
    terminal.sees(rf"\d+ s / 9{time} s")
    terminal.says("debug on", "Debug is on")
    log = Path(Paths.under(home).logs / "station.log")
    terminal.says("debug", "Debug is on", "station.log")
    read = len(log.read_text())
    while "DEBUG shared.bus: came on commands" not in log.read_text()[read:]:
        terminal.says(f"volume 5{time}", f"volume is 5{time}")
    terminal.says("debug off", "Debug is off")
    terminal.says(f"validate my_loop_{time}.wav", "is sound", "loops from 0 to")
    terminal.says("validate current", "is sound")
    terminal.says("help", "Listen:", "shutdown")
    terminal.says("help save", "Usage:", "downbeat")
    terminal.says(
        f"start -p 'slow piano {time}' -m small -d 1{time} --minlength 4 --driver null -v", "station.log", "Now for"
    )
    terminal.says("start --help", "--minduration", "--verbose")
    terminal.says("volume 50", "volume is 50")
    for words, answer in (("pause", "Paused"), ("resume", "Playing"), ("stop", "Stopped"), ("start", "Playing ")):
        terminal.says(words, answer)
    terminal.types("\x1b[A")  # the line before, from the history
    terminal.sees("start")
    terminal.presses("c")
    terminal.sees("gives up the line", "infini>")
    # Another word each time: what the history suggests looks like what Tab completes.
    begun, rest, answer = (("comp", "letion", "Say which shell|_INFINILOOP_COMPLETE"), ("sett", "ings", "volume"))[
        time - 1
    ]
    terminal.types(f"{begun}\t")
    terminal.sees(rest)
    terminal.says("", answer)


@pytest.fixture(scope="module")
def terminal(home: Path, folder: Path) -> Iterator[Terminal]:
    """A shell that every mistake is made in, one after the other."""
    with Terminal(home, folder) as opened:
        opened.sees("infini>")
        opened.says("start 'calm piano'", "Now for")
        opened.sees(r"♪ ", r"\d+ s / \d+ s")
        opened.says("save there.wav --force", "Saved ")
        yield opened
        opened.says("shutdown", "has ended|Still there after")
        assert "Traceback" not in opened.shown


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("set duration 31", "allowed is 5 to 30 s"),
        ("set duration much", "allowed is 5 to 30 s"),
        ("set minlength 21", "1 to 20 s"),
        ("set minlength long", "1 to 20 s"),
        ("set minduration 9", "10 to 300 s"),
        ("set minduration -3", "10 to 300 s"),
        ("set driver tape", "pulse, alsa, dsp"),
        ("set model enormous", "small, medium, large"),
        ("set volume 101", "0 to 100"),
        ("set colour red", "no setting 'colour'"),
        ("set volume 1 2", "unexpected extra argument"),
        ("volume loud", "0 to 100"),
        ("start -d 3 'too short'", "5 to 30 s"),
        ("start -p one two", "Give the prompt once"),
        ("start ''", "prompt is empty"),
        ("start -weird", "No such option"),
        ("start '-weird music'", "after --"),
        ("start --preset nowhere", "no preset 'nowhere'"),
        ("hold perhaps", "is not one of"),
        ("debug perhaps", "is not one of"),
        ("dance", "no command 'dance'"),
        ("shutdwn", "did you mean `shutdown`"),
        ("presets show nothing", "no preset 'nothing'"),
        ("presets dance", "No such command"),
        ("start 'half a quotation", "has no partner"),
        ("save it's.wav", "has no partner"),
        ("save", "Missing argument"),
        ("save ein Lied.wav", "unexpected extra argument"),
        ("save there.wav/loop.wav", r"infiniloop: .*there\.wav"),
        ("generate calm -o full", "names no format"),
        ("generate calm -o nowhere/loop.wav", "does not exist"),
        ("render -o . --minutes 1", "is a directory"),
        ("save loop.xyz", "wav, flac, ogg, mp3"),
        ("save full/loop.wav", "no space left"),
        ("save sealed/loop.wav", "(read-only file system|may not be written to)"),
        ("save /sys/loop.wav", "(permission denied|not permitted)"),
        ("validate nowhere.wav", "does not exist"),
        ("validate .", "not a file"),
        ("presets export full", "is a directory"),
        ("presets import there.wav", "cannot be understood"),
        ("quit now", "no words after it"),
        ("help dance", "no command 'dance'"),
    ],
)
def test_each_mistake_gets_one_sentence_and_the_shell_goes_on(terminal: Terminal, line: str, sentence: str) -> None:
    before = len(terminal.shown)
    terminal.says(line, sentence)
    answer = terminal.shown[before:]
    assert answer.count("infiniloop: ") <= 1
    assert "Usage:" not in answer


def test_a_full_disk_costs_neither_the_settings_nor_what_is_there(terminal: Terminal) -> None:
    terminal.says("presets export full/presets.json", "Wrote")
    terminal.says("save full/loop.wav", "no space left")
    assert terminal.says("save full/loop.wav", "no space left")
    terminal.says("status", "Playing", "page  ")


def test_blanks_and_accents_in_a_path_are_taken(terminal: Terminal) -> None:
    terminal.says("save 'ein Lied für später.wav' --force", "Saved ")
    terminal.says("validate 'ein Lied für später.wav'", "is sound")
    terminal.says("save .", r"Saved ", r"_\d+bars\.wav")  # a folder: the loop gets a name in it
    assert (terminal.folder / "ein Lied für später.wav").exists()


def test_what_is_there_is_not_written_over_unasked(terminal: Terminal) -> None:
    before = (terminal.folder / "there.wav").read_bytes()
    terminal.types("save there.wav\r")
    terminal.sees("exists already")
    terminal.presses("c")
    terminal.sees("infini>")
    assert (terminal.folder / "there.wav").read_bytes() == before


def test_interrupting_gives_up_the_line_the_question_or_the_command(terminal: Terminal) -> None:
    terminal.types("start 'some")
    terminal.presses("c")
    terminal.sees("Ctrl-C gives up the line", "infini>")
    terminal.presses("c")
    terminal.sees("Ctrl-C gives up the line", "infini>")
    for key in ("c", "d"):
        terminal.types("set driver\r")
        terminal.sees("New value")
        terminal.presses(key)
        terminal.sees("Interrupted", "infini>")
    terminal.types("status --watch\r")
    terminal.sees("Playing", "page  ")
    terminal.presses("c")
    terminal.sees("Interrupted", "infini>")
    terminal.types("generate 'long piece' -o long.wav --bars 64\r")
    terminal.sees("beginning")
    terminal.presses("c")
    terminal.sees("Interrupted", "infini>")
    assert not (terminal.folder / "long.wav").exists()


def test_leaving_asks_while_music_plays(terminal: Terminal) -> None:
    terminal.sees(r"\d+ s / \d+ s")
    terminal.presses("d")
    terminal.sees("Music plays")
    terminal.presses("c")
    terminal.sees("Still here", "infini>")
    terminal.types("quit\r")
    terminal.sees("Music plays")
    terminal.says("", "Still here")
