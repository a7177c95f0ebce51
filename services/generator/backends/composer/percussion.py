"""Drums by name, as General MIDI numbers them."""

from __future__ import annotations

from typing import Final

DRUMS: Final[dict[str, int]] = {
    "kick": 36,
    "rim": 37,
    "snare": 38,
    "clap": 39,
    "tom-low": 41,
    "hat": 42,
    "pedal": 44,
    "tom-mid": 45,
    "open-hat": 46,
    "crash": 49,
    "tom-high": 50,
    "ride": 51,
    "ride-bell": 53,
    "tambourine": 54,
    "cowbell": 56,
    "bongo-high": 60,
    "bongo-low": 61,
    "conga-mute": 62,
    "conga-high": 63,
    "conga-low": 64,
    "timbale-high": 65,
    "timbale-low": 66,
    "agogo-high": 67,
    "agogo-low": 68,
    "cabasa": 69,
    "shaker": 70,
    "guiro": 73,
    "clave": 75,
    "woodblock": 76,
    "triangle": 81,
    "surdo": 87,
}
"""27–87 are the percussion map of General MIDI and its level 2."""
