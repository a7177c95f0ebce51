"""Prints the benchmarks that ``make bench`` runs, one path a line: those that need nothing but this checkout."""

from pathlib import Path

STANDALONE = (
    "composer.py",
    "composer_heard.py",
    "composer_sound.py",
    "form.py",
    "loop_downbeats.py",
    "library.py",
    "loops.py",
    "musicgen.py",
    "player.py",
    "render.py",
    "saving.py",
    "songs.py",
    "stream.py",
    "stretching.py",
    "transitions.py",
)

if __name__ == "__main__":
    here = Path(__file__).parent
    for name in STANDALONE:
        if (here / name).exists():
            print(here / name)
