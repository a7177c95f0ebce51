"""Writing a score as a standard MIDI file, type 1 (MIDI 1.0 specification, "Standard MIDI Files 1.0", RP-001).

One track holds tempo, metre, key and a marker per section, and each part has a track of its own with its name and its
nearest General MIDI program. Drums are on channel 10.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from services.generator.backends.composer import theory
from services.generator.backends.composer.score import Note, Part, Score

TICKS: Final = 480
"""Ticks in a quarter note."""
_DRUM_CHANNEL: Final = 9

PROGRAMS: Final[dict[str, int]] = {
    "piano": 0,
    "piano-felt": 0,
    "epiano": 4,
    "epiano-fm": 5,
    "harpsichord": 6,
    "clav": 7,
    "celesta": 8,
    "music-box": 10,
    "vibraphone": 11,
    "marimba": 12,
    "bell": 14,
    "organ": 16,
    "bass-organ": 16,
    "accordion": 21,
    "guitar-nylon": 24,
    "lute": 24,
    "guitar-steel": 25,
    "guitar-clean": 27,
    "guitar-muted": 28,
    "guitar-drive": 29,
    "bass-upright": 32,
    "bass-electric": 33,
    "bass-fretless": 35,
    "bass-synth": 38,
    "bass-acid": 38,
    "bass-chip": 38,
    "bass-sub": 39,
    "bass-reese": 39,
    "violin": 40,
    "cello": 42,
    "pizzicato": 45,
    "harp": 46,
    "strings": 48,
    "string-slow": 49,
    "choir": 52,
    "trumpet": 56,
    "trombone": 57,
    "muted-trumpet": 59,
    "horn": 60,
    "brass": 61,
    "sax": 66,
    "oboe": 68,
    "clarinet": 71,
    "flute": 73,
    "whistle": 78,
    "lead-square": 80,
    "lead-chip": 80,
    "lead-saw": 81,
    "lead-soft": 82,
    "pluck-synth": 84,
    "arp-synth": 84,
    "pad-glass": 88,
    "pad-warm": 89,
    "supersaw": 90,
    "stab": 90,
    "pad-choir": 91,
    "drone-deep": 92,
    "pad-dark": 95,
    "drone-air": 97,
    "sitar": 104,
    "banjo": 105,
    "koto": 107,
    "kalimba": 108,
    "riser": 119,
    "noise-rain": 122,
    "noise-vinyl": 122,
    "impact": 127,
}
"""Instrument → General MIDI program, counted from 0."""

KITS: Final[dict[str, int]] = {
    "kit-rock": 16,
    "kit-909": 24,
    "kit-house": 24,
    "kit-dnb": 24,
    "kit-chip": 24,
    "kit-808": 25,
    "kit-brush": 40,
    "kit-orchestral": 48,
}
"""Drum kit → program on the drum channel (General MIDI 2); others are the standard kit."""

_Event = tuple[int, int, bytes]
"""Tick, order within the tick (offs before ons), and the message."""


def midi_bytes(score: Score) -> bytes:
    """The whole piece, its sections one after the other, as the bytes of a ``.mid`` file."""
    offsets, at = [], 0.0
    for section in score.sections:
        offsets.append(at)
        at += section.bars * score.meter.quarters
    names: dict[str, list[tuple[float, Part]]] = {}
    for offset, section in zip(offsets, score.sections, strict=True):
        for part in section.parts:
            names.setdefault(part.name, []).append((offset, part))
    tracks = [_conductor(score, offsets, at)]
    channels = [channel for channel in range(16) if channel != _DRUM_CHANNEL]
    melodic = 0
    for name, parts in names.items():
        if parts[0][1].percussion:
            channel = _DRUM_CHANNEL
        else:
            channel = channels[melodic % len(channels)]
            melodic += 1
        tracks.append(_track(name, parts, channel, at))
    header = b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), TICKS)
    return header + b"".join(b"MTrk" + struct.pack(">I", len(track)) + track for track in tracks)


def _conductor(score: Score, offsets: list[float], end: float) -> bytes:
    microseconds = round(60_000_000 / score.bpm)
    signature = theory.key_signature(score.tonic, score.mode)
    found: list[_Event] = [
        (0, 0, _meta(0x03, b"INFINI LOOP")),
        (0, 1, _meta(0x51, min(microseconds, 0xFFFFFF).to_bytes(3, "big"))),
        (0, 2, _meta(0x58, bytes((score.meter.beats, score.meter.unit.bit_length() - 1, 24, 8)))),
        (0, 3, _meta(0x59, struct.pack(">bB", signature, int(theory.is_minor(score.mode))))),
    ]
    for offset, section in zip(offsets, score.sections, strict=True):
        found.append((round(offset * TICKS), 4, _meta(0x06, section.label.encode("ascii", "replace"))))
    return _encoded(found, round(end * TICKS))


def _track(name: str, parts: list[tuple[float, Part]], channel: int, end: float) -> bytes:
    first = parts[0][1]
    program = (KITS if first.percussion else PROGRAMS).get(first.instrument, 0)
    volume = max(1, min(127, round(100 * 10 ** (first.level_db / 40))))
    found: list[_Event] = [
        (0, 0, _meta(0x03, name.encode("utf-8"))),
        (0, 1, bytes((0xC0 | channel, program))),
        (0, 2, bytes((0xB0 | channel, 7, volume))),
        (0, 3, bytes((0xB0 | channel, 10, max(0, min(127, round(64 + 63 * first.pan)))))),
        (0, 4, bytes((0xB0 | channel, 91, max(0, min(127, round(127 * first.reverb)))))),
    ]
    notes = sorted(
        ((offset + note.start, note) for offset, part in parts for note in part.notes),
        key=lambda item: (item[0], item[1].pitch),
    )
    found += _note_events(notes, channel)
    return _encoded(found, round(end * TICKS))


def _note_events(notes: Iterable[tuple[float, Note]], channel: int) -> list[_Event]:
    """Note on and off; a key that is struck again while it sounds is let go first."""
    sounding: dict[int, tuple[int, int]] = {}
    found: list[_Event] = []

    def release(pitch: int, tick: int) -> None:
        found.append((tick, 5, bytes((0x80 | channel, pitch, 0))))

    for start, note in notes:
        on = max(0, round(start * TICKS))
        off = max(on + 1, round((start + note.length) * TICKS))
        if note.pitch in sounding:
            struck, until = sounding.pop(note.pitch)
            if struck == on:
                sounding[note.pitch] = (on, max(until, off))
                continue
            release(note.pitch, min(until, on))
        sounding[note.pitch] = (on, off)
        found.append((on, 6, bytes((0x90 | channel, note.pitch, max(1, min(127, round(note.velocity * 127)))))))
    for pitch, (_, until) in sounding.items():
        release(pitch, until)
    return found


def _meta(kind: int, data: bytes) -> bytes:
    return bytes((0xFF, kind)) + _length(len(data)) + data


def _length(value: int) -> bytes:
    """A variable-length quantity: seven bits a byte, the highest first."""
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(0x80 | (value & 0x7F))
    return bytes(reversed(out))


def _encoded(found: list[_Event], end: int) -> bytes:
    out, at = bytearray(), 0
    for tick, _, message in sorted(found):
        out += _length(tick - at) + message
        at = tick
    return bytes(out + _length(max(0, end - at)) + _meta(0x2F, b""))
