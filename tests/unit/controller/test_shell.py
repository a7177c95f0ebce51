"""The shell obeys lines, says one sentence about what is wrong, and goes on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from services.controller.cli.comfort import ShellCompleter
from services.controller.cli.live import LiveStatus, live_line
from services.controller.cli.root import infiniloop
from services.controller.cli.shell import Shell
from shared import settings
from shared.messages import ControllerStatus, GeneratorStatus, PlayerStatus
from shared.music import Loop
from shared.paths import Paths

LOOP = Loop(loop_id="l1", job_id="j1", epoch=1, path="/l1.wav", frames=48_000, title="Amber Rain")


class Listener:
    """Answers questions from a list."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.questions: list[str] = []

    def __call__(self, question: str) -> str:
        self.questions.append(question)
        if not self.answers:
            raise EOFError
        return self.answers.pop(0)


@pytest.fixture
def home(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setenv("INFINILOOP_HOME", str(paths.config.parent))
    return paths


@pytest.fixture
def shell(home: Paths) -> Callable[..., Shell]:
    return lambda *answers: Shell(LiveStatus(home), Listener(*answers))


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("say 'half a quote", "no partner"),
        ("dance", "dance"),
        ("presets --category zzz", "zzz"),
        ("presets show 'no such, here'", "no preset"),
        ("presets add a b c d", "unexpected"),
        ("service nobody", "nobody"),
        ("quit now", "no words after"),
        ("hold", "Choose from: on, off"),
        ("start -d 31", "5 to 30"),
        ("start -d long", "5 to 30"),
        ("start --minlength 0.5", "1 to 20"),
        ("start --minduration 301", "10 to 300"),
        ("start --driver tape", "pulse"),
        ("start -m huge", "small"),
        ("debug perhaps", "on"),
        ("validate /no/such/file.wav", "does not exist"),
        ("validate current", "infiniloop start"),
        ("completion tcsh", "bash"),
    ],
)
def test_what_is_wrong_is_said_and_the_shell_goes_on(
    shell: Callable[..., Shell], capsys: pytest.CaptureFixture[str], line: str, word: str
) -> None:
    assert shell().obey(line)
    said = capsys.readouterr().err
    assert word in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("line", ["", "   ", "help", "? presets", "infiniloop presets", "help presets add"])
def test_harmless_lines(shell: Callable[..., Shell], line: str) -> None:
    assert shell().obey(line)


def test_a_silent_station_is_left_at_once(shell: Callable[..., Shell]) -> None:
    for word in ("quit", "exit", "q"):
        assert not shell().obey(word)


def test_set_shows_what_is_allowed_and_asks(shell: Callable[..., Shell], capsys: pytest.CaptureFixture[str]) -> None:
    assert shell("volume", "").obey("set")
    said = capsys.readouterr()
    assert "0 to 100" in said.err
    assert said.out == "volume stays 70.\n"
    assert shell("null").obey("set driver")
    said = capsys.readouterr()
    assert "pulse, alsa, dsp" in said.err
    assert "driver is null" in said.out
    assert shell().obey("set driver")  # Ctrl-D at the question
    assert "Interrupted" in capsys.readouterr().err
    assert shell("").obey("set")
    assert capsys.readouterr().out == "Nothing was changed.\n"
    assert shell("x").obey("set colour")
    assert "no setting" in capsys.readouterr().err
    assert shell("much").obey("set duration")
    assert "5 to 30" in capsys.readouterr().err


def test_the_live_line_tells_what_plays_and_what_is_made() -> None:
    player = PlayerStatus(
        playing=True, loop=LOOP, section="A", song_frames=12 * 48_000, song_length_frames=120 * 48_000
    )
    making = GeneratorStatus(job_id="j2", stage="composing", fraction=0.4, eta_s=8.2)
    line = live_line({"player": player, "generator": making})
    assert "Amber Rain A  12 s / 120 s" in line
    assert "composing 40%, 8 s left" in line
    resting = live_line(
        {"player": player, "generator": GeneratorStatus(), "controller": ControllerStatus(waiting="rests")}
    )
    assert resting.endswith("rests")
    assert "does not answer" in live_line({})
    assert "away" in live_line({"generator": making})


def _complete(text: str) -> set[str]:
    found = ShellCompleter(infiniloop).get_completions(Document(text, len(text)), CompleteEvent())
    return {completion.text for completion in found}


def test_completion_knows_commands_settings_values_and_presets() -> None:
    assert {"presets", "quit", "help"} <= _complete("")
    assert _complete("presets exp") == {"export"}
    assert _complete("set vol") == {"volume"}
    assert _complete("set driver pu") == {"pulse"}
    assert _complete("set mode ") == set(settings.find_field("mode").choices)
    assert "--category" in _complete("presets --c")
    assert _complete("presets show jazz-c") == {"jazz-cafe"}
    assert _complete("start --preset jazz-c") == {"jazz-cafe"}
    assert _complete("start --driver pu") == {"pulse"}
    assert _complete("debug ") == {"on", "off"}
    assert _complete("help presets exp") == {"export"}
    assert _complete("set colour x") == set()
    assert _complete("say 'open") == set()


def test_completion_knows_files(home: Paths) -> None:
    (home.state / "mine.json").touch()
    assert _complete(f"presets import {home.state}/mi") == {"ne.json"}
