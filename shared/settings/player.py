"""Settings of the player."""

from __future__ import annotations

from dataclasses import dataclass

from shared.settings.fields import choice, number, switch, text


@dataclass(frozen=True)
class PlayerSettings:
    driver: str = choice("auto", "pulse", "alsa", "dsp", "jack", "null", help="how sound leaves the machine")
    output_device: str = text("", help="name or number of the sound device; empty for the default one")
    volume: int = number(70, 0, 100, help="loudness of this machine's output; stream and recordings stay as they are")
    min_duration: float = number(120.0, 10, 300, unit="s", help="song length", aliases=("minduration", "song_length"))
    transition: str = choice("smart", "blend", "fade", "cut", "off", help="how one song becomes the next")
    variation: str = choice("light", "off", "full", help="gentle moves while a loop repeats")
    on_unplug: str = choice("pause", "continue", help="when headphones are unplugged")
    on_wake: str = choice("pause", "continue", help="after a sleep of more than five minutes")
    snapcast: str = text("", help="path of a fifo for a Snapcast server; empty for none", allowed="a path")
    record: str = text(
        "", help="record the programme to this .flac or .wav file while it plays; empty for none", allowed="a path"
    )
    record_split: bool = switch(False, help="a file of its own for each song that is recorded")
