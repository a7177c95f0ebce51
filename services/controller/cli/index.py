"""Every command: where it lives, under which heading ``infiniloop --help`` lists it, and in which words.

Nothing is imported for the list; each command says the same of itself in its own help.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

LISTEN, CHOOSE, TUNE, MAKE, LOOK = "Listen", "Choose the music", "Tune and keep", "Without the station", "Look after it"
HEADINGS = (LISTEN, CHOOSE, TUNE, MAKE, LOOK)


class Entry(NamedTuple):
    """One command."""

    where: str
    """``module:attribute``."""
    heading: str
    """Empty: the list leaves it out."""
    help: str
    silent: bool = False
    """Nothing on its way keeps a log, so it starts without loading how."""


_CLI = "services.controller.cli"

COMMANDS: Mapping[str, Entry] = MappingProxyType(
    {
        "start": Entry(f"{_CLI}.launching:start", LISTEN, "Play; with PROMPT, play that."),
        "stop": Entry(f"{_CLI}.steering:stop", LISTEN, "Fade to silence; the processes stay."),
        "pause": Entry(f"{_CLI}.steering:pause", LISTEN, "Pause at once."),
        "resume": Entry(f"{_CLI}.steering:resume", LISTEN, "Play on."),
        "skip": Entry(f"{_CLI}.steering:skip", LISTEN, "Go on to the next song, at the next bar."),
        "back": Entry(f"{_CLI}.steering:back", LISTEN, "Go back to the song before this one, at the next bar."),
        "hold": Entry(f"{_CLI}.steering:hold", LISTEN, "Stay on this loop, or let songs change again."),
        "more": Entry(f"{_CLI}.steering:more", LISTEN, "Go on with songs like this one."),
        "nudge": Entry(f"{_CLI}.steering:nudge", LISTEN, "Change what plays by a few words."),
        "sleep": Entry(f"{_CLI}.modes:sleep", LISTEN, "Fall silent after some time, faded."),
        "volume": Entry(f"{_CLI}.tuning:volume", LISTEN, "Set how loud this machine plays, 0 to 100."),
        "status": Entry(
            f"{_CLI}.status:status", LISTEN, "Show what plays, what is being made, and what waits and why."
        ),
        "shutdown": Entry(f"{_CLI}.launching:shutdown", LISTEN, "End the station and all its processes."),
        "surprise": Entry(f"{_CLI}.modes:surprise", CHOOSE, "Play a preset at random."),
        "programme": Entry(f"{_CLI}.programme:programme", CHOOSE, "Choose prompts by the time of day."),
        "play": Entry(f"{_CLI}.judging:play", CHOOSE, "Play a loop of the library, at the next bar."),
        "again": Entry(f"{_CLI}.judging:again", CHOOSE, "Make a loop again: the same recipe, or another seed."),
        "library": Entry(f"{_CLI}.library:library", CHOOSE, "Find, play and delete the loops that were made here."),
        "presets": Entry(
            f"{_CLI}.presets:presets", CHOOSE, "List, show and change the presets, which are named prompts."
        ),
        "like": Entry(f"{_CLI}.judging:like", TUNE, "Like the loop that plays: it is kept for good."),
        "dislike": Entry(f"{_CLI}.judging:dislike", TUNE, "Dislike the loop that plays: it never plays again."),
        "mode": Entry(f"{_CLI}.modes:mode", TUNE, "Show or choose how much is made ahead, and out of what."),
        "bridge": Entry(f"{_CLI}.modes:bridge", TUNE, "Compose something at once while a first song is made, or not."),
        "offline": Entry(f"{_CLI}.modes:offline", TUNE, "Keep off the network, or not."),
        "save": Entry(f"{_CLI}.saving:save", TUNE, "Save the loop that plays to FILE."),
        "set": Entry(f"{_CLI}.tuning:set_", TUNE, "Change one setting, now and for good."),
        "settings": Entry(f"{_CLI}.tuning:settings", TUNE, "List every setting with its value and what is allowed."),
        "validate": Entry(f"{_CLI}.validate:validate", TUNE, "Say whether an audio file is sound."),
        "generate": Entry(f"{_CLI}.generate:generate", MAKE, "Make clips or loops from the words of PROMPT."),
        "analyze": Entry("services.analyzer.cli:analyze", MAKE, "Find the best loop in an audio FILE.", silent=True),
        "render": Entry(f"{_CLI}.render:render", MAKE, "Write the station's programme to a file."),
        "models": Entry("services.generator.models_cli:models", MAKE, "List, download, check and delete models."),
        "generator": Entry(f"{_CLI}.generator:generator", MAKE, "Make music here for a station on another machine."),
        "keys": Entry(f"{_CLI}.keys:keys", MAKE, "Let generators on other machines join, and see who may."),
        "stats": Entry(f"{_CLI}.stats:stats", LOOK, "Show what making music costs on this machine."),
        "doctor": Entry(f"{_CLI}.doctor:doctor", LOOK, "Say what works here, what is missing, and how to mend it."),
        "debug": Entry(f"{_CLI}.tuning:debug", LOOK, "Log everything, or no longer; without a word, say which."),
        "completion": Entry(
            f"{_CLI}.completion:completion", LOOK, "Print or install completion for bash, zsh or fish."
        ),
        "service": Entry(f"{_CLI}.service:service", LOOK, "Run one service in the foreground."),
        "precheck": Entry(f"{_CLI}.launching:precheck", "", "Say why a station cannot begin here."),
        "station": Entry(f"{_CLI}.launching:station", "", "Run the whole station until it is ended."),
    }
)
