"""Completion in real shells: installed by the command, then Tab in a new shell on a pseudo-terminal."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.pipeline.whole import ROOT, WAITS_S

COMMAND = """#!/bin/sh
if [ -n "$_INFINILOOP_COMPLETE" ] || [ "$1" = completion ]; then exec "{python}" -m services "$@"; fi
printf '%s\\n' "$@" > "{said}.part" && mv "{said}.part" "{said}"
"""
READY = "ready> "
TAB = "\t"
PROMPTS = {
    "bash": (".bashrc", f"PS1='{READY}'"),
    "zsh": (".zshrc", f"PS1='{READY}'"),
    "fish": (".config/fish/config.fish", f"function fish_prompt; echo -n '{READY}'; end; set fish_greeting"),
}


class Typed:
    """One shell in which ``infiniloop`` completes; a whole line is noted instead of being obeyed."""

    def __init__(self, shell: str, home: Path) -> None:
        assert shutil.which(shell), f"{shell} is not here: sudo apt install zsh fish"
        self.name = shell
        self._said = home / "said"
        programs = home / "bin"
        programs.mkdir()
        (programs / "infiniloop").write_text(COMMAND.format(python=sys.executable, said=self._said))
        (programs / "infiniloop").chmod(0o755)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ZDOTDIR", "PROMPT"))},
            "HOME": str(home),
            "SHELL": shell,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "INFINILOOP_HOME": str(home / "station"),
            "TERM": "xterm",
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
        }
        said = pexpect.run(f"{programs}/infiniloop completion --install", env=environment, encoding="utf-8")
        assert "Tab completes" in said
        name, line = PROMPTS[shell]
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        with (home / name).open("a") as file:
            file.write(f"{line}\n")
        self._child = pexpect.spawn(
            shell, ["-i"], env=environment, cwd=home, encoding="utf-8", timeout=WAITS_S, dimensions=(60, 200)
        )
        self._child.delaybeforesend = None
        self._child.expect(READY)

    def lists(self, begun: str, expected: str) -> None:
        """Tab twice shows this; the line stays as it is."""
        self._child.send(f"{begun}{TAB}{TAB}")
        self._child.expect_exact(expected)

    def becomes(self, *begun: str) -> list[str]:
        """Each of these is typed and completed; returns the words of the line."""
        self._said.unlink(missing_ok=True)
        self._child.send(f"infiniloop {TAB.join(begun)}{TAB}\r")
        end = time.monotonic() + WAITS_S
        while not self._said.exists():
            assert time.monotonic() < end, "the line was not obeyed"
            os.sched_yield()
        return self._said.read_text().splitlines()

    def close(self) -> None:
        self._child.close(force=True)


@pytest.fixture(
    params=["bash", pytest.param("zsh", marks=pytest.mark.tools), pytest.param("fish", marks=pytest.mark.tools)]
)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Typed]:
    typed = Typed(request.param, tmp_path)
    yield typed
    typed.close()


def test_tab_completes_commands_settings_values_presets_and_files(shell: Typed, tmp_path: Path) -> None:
    (tmp_path / "mäßig laut.wav").touch()
    (tmp_path / "müsik").mkdir()
    assert shell.becomes("sett") == ["settings"]
    assert shell.becomes("set dri", "pu") == ["set", "driver", "pulse"]
    assert shell.becomes("start --pres", "deep-f") == ["start", "--preset", "deep-focus"]
    assert shell.becomes("presets sh", "lofi-st") == ["presets", "show", "lofi-study"]
    assert shell.becomes("save mä", "--conf") == ["save", "mäßig laut.wav", "--conform"]


def test_tab_twice_lists_what_may_come_and_what_it_means(shell: Typed) -> None:
    meaning = "Show what plays, what is being made, and what waits and why."
    shell.lists("infiniloop stat", "stats" if shell.name == "bash" else meaning)
