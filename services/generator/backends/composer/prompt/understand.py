"""Understanding a prompt: what free text wishes of the music.

The text is read once for figures (tempo, key, metre, bars), once for words (styles, moods, instruments), and each word
is seen in its clause: refused ("no drums", "senza batteria"), wanted alone ("solo piano") or wanted among others. Words
that mean nothing here change nothing but the seed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.generator.backends.composer.prompt.figures import bars_in, bpm_in, key_in, meter_in
from services.generator.backends.composer.prompt.lexicon import Lexicon, Mood, find, lexicon, plain
from services.generator.backends.composer.score import Meter
from services.generator.backends.composer.style import Style

_MOOD_ENERGY: Final = 0.18
_READ: Final = 4_000
"""Characters of a prompt that are read; the rest still makes the seed."""


@dataclass(frozen=True)
class Wishes:
    """What a text asks for; ``None`` and empty where it says nothing."""

    style: str | None = None
    bpm: float | None = None
    tonic: int | None = None
    mode: str | None = None
    family: str = ""
    """``major`` or ``minor`` where only a mood leans that way."""
    meter: Meter | None = None
    bars: int | None = None
    tempo_factor: float = 1.0
    """On the style's tempo, from moods."""
    relative_tempo: float = 1.0
    """On any tempo, from words such as "slower"."""
    energy: float = 0.0
    brightness: float = 0.0
    lofi: float = 0.0
    wanted: tuple[str, ...] = ()
    """Entries of the lexicon's instruments, in the order of the text, and ``role:drums`` where a beat is asked for."""
    unwanted: frozenset[str] = frozenset()
    """Instruments' registry names, roles as ``role:drums`` and pieces of the kit as ``kit:kick``."""
    only: frozenset[str] = frozenset()
    """The same, for what is to play alone."""


@dataclass(frozen=True, slots=True)
class _Mention:
    start: int
    end: int
    names: tuple[str, ...]
    entry: str
    """The lexicon's instrument, ``role:…`` or ``kit:…``."""


def understand(text: str, styles: Mapping[str, Style]) -> Wishes:
    """Read a prompt. Never raises: what is not understood is passed over."""
    words = lexicon()
    text = text[:_READ]
    bare = plain(text)
    named = _named(bare, words)
    # Where nouns begin and end, the longest at each place.
    known = {mention.start: mention.end for mention in sorted(named, key=lambda mention: mention.end)}
    refused = _governed(words.grammar["no"], bare, words, known)
    lessened = _governed(words.grammar["less"], bare, words, known)
    mentions = [mention for mention in _meant(named) if not _inside(mention.start, lessened)]
    unwanted, wanted = _wishes(bare, mentions, words, refused)
    only = _only(bare, mentions, words, refused)
    style = _style(bare, styles, refused)
    family, tempo, relative, energy, brightness, lofi = _moods(bare, words, refused + lessened)
    tonic, mode = key_in(bare, text)
    return Wishes(
        style=style,
        bpm=bpm_in(bare),
        tonic=tonic,
        mode=mode,
        family=family,
        meter=meter_in(bare, text),
        bars=bars_in(bare),
        tempo_factor=tempo,
        relative_tempo=relative,
        energy=energy,
        brightness=brightness,
        lofi=lofi,
        wanted=wanted,
        unwanted=unwanted,
        only=only,
    )


# -- words ------------------------------------------------------------------------------------------------------------


def _named(bare: str, words: Lexicon) -> list[_Mention]:
    """Every phrase that names an instrument, a role or a piece of the kit."""
    found = [
        _Mention(start, end, instrument.names, entry)
        for entry, instrument in words.instruments.items()
        for start, end in find(instrument.words, bare)
    ]
    for kind, table in (("role", words.roles), ("kit", words.kit)):
        found += [
            _Mention(start, end, (f"{kind}:{name}",), f"{kind}:{name}")
            for name, entry in table.items()
            for start, end in find(entry.words, bare)
        ]
    return found


def _meant(named: list[_Mention]) -> list[_Mention]:
    # "electric piano" is no piano, and "drum and bass" neither: the longest phrase at a place is what is meant.
    kept: list[_Mention] = []
    for mention in sorted(named, key=lambda mention: (mention.start - mention.end, mention.start)):
        if all(mention.end <= other.start or mention.start >= other.end for other in kept):
            kept.append(mention)
    return sorted(kept, key=lambda mention: mention.start)


def _wishes(
    bare: str, mentions: list[_Mention], words: Lexicon, refused: list[tuple[int, int]]
) -> tuple[frozenset[str], tuple[str, ...]]:
    """What is refused and what is wanted; of two wishes that contradict each other the later one counts."""
    unwanted: set[str] = {"role:drums"} if find(("drumless", "beatless"), bare) else set()
    wanted: dict[str, None] = {}
    invited = [end for _, end in find(words.grammar["with"], bare)]
    for mention in mentions:
        if _inside(mention.start, refused):
            unwanted.update(mention.names)
            wanted.pop(mention.entry, None)
            continue
        unwanted.difference_update(mention.names if ":" not in mention.entry else ())
        beat = mention.entry == "role:drums" and any(_reaches(bare[end : mention.start]) for end in invited)
        if ":" not in mention.entry or beat:
            wanted[mention.entry] = None
    return frozenset(unwanted), tuple(wanted)


def _reaches(between: str) -> bool:
    """Whether "with" still speaks of what comes after these words: "with a soft beat"."""
    return between.startswith(" ") and "," not in between and len(between.split()) <= 2


def _governed(by: tuple[str, ...], bare: str, words: Lexicon, known: Mapping[int, int]) -> list[tuple[int, int]]:
    """The stretches of text that a "no" or a "less" governs: its noun, and those joined to it by "and" or "or"."""
    grammar = words.grammar
    skipped, joined = set(grammar["skipped"]), set(grammar["joined"])
    spans = []
    for start, end in find(by, bare):
        at, reach = end, end
        while match := re.compile(r"\s*(\S+)").match(bare, at):
            token, token_start = match[1], match.start(1)
            if token in skipped or token in joined:
                at = match.end()
                continue
            noun_end = known.get(token_start)
            if noun_end is None and reach == end:
                reach = match.end()
                break
            if noun_end is None or token == ",":
                break
            at = reach = noun_end
        spans.append((start, reach))
    return spans


def _inside(position: int, spans: list[tuple[int, int]]) -> bool:
    return any(start <= position < end for start, end in spans)


def _only(bare: str, mentions: list[_Mention], words: Lexicon, refused: list[tuple[int, int]]) -> frozenset[str]:
    """What is to play alone: "solo piano", "drums only"; a "guitar solo" that a band has is none of it."""
    before = find(words.grammar["only_before"], bare)
    after = find(words.grammar["only_after"], bare)
    invited = find(words.grammar["with"], bare)
    alone: set[str] = set()
    for mention in mentions:
        if _inside(mention.start, refused):
            continue
        gap_before = any(_close(bare[end : mention.start], words) for _, end in before if end <= mention.start)
        with_band = any(_close(bare[end : mention.start], words) for _, end in invited)
        follows = any(bare[mention.end : start].strip() == "" for start, _ in after if start >= mention.end)
        if gap_before or (follows and not with_band):
            alone.update(mention.names)
            for other in _joined_to(mention, mentions, bare, words):
                alone.update(other.names)
    # Who wants some pieces of the kit alone wants a drummer alone.
    return frozenset("role:drums" if name.startswith("kit:") else name for name in alone)


def _joined_to(mention: _Mention, mentions: list[_Mention], bare: str, words: Lexicon) -> list[_Mention]:
    """Those that "and" joins to a mention, on either side: "just piano and cello"."""
    joined = set(words.grammar["joined"]) | set(words.grammar["skipped"])
    found = []
    index = mentions.index(mention)
    for step in (-1, 1):
        at = index
        while 0 <= at + step < len(mentions):
            first, second = sorted((mentions[at], mentions[at + step]), key=lambda each: each.start)
            between = bare[first.end : second.start].split()
            if not between or not set(between) <= joined or not set(between) & set(words.grammar["joined"]):
                break
            at += step
            found.append(mentions[at])
    return found


def _close(between: str, words: Lexicon) -> bool:
    return bool(between) and all(token in words.grammar["skipped"] for token in between.split())


def _style(bare: str, styles: Mapping[str, Style], refused: list[tuple[int, int]]) -> str | None:
    """The style whose words weigh most; a longer phrase is meant more exactly, and what is named first weighs more."""
    scores: list[tuple[float, float, str]] = []
    claimed: list[tuple[int, int, int]] = []
    spans: dict[str, list[tuple[int, int, float]]] = {}
    for key, style in styles.items():
        named = (key.replace("-", " "), style.name, *style.data.words)
        spans[key] = [(start, end, 3.0) for start, end in find(tuple(named), bare)]
        spans[key] += [(start, end, 0.5) for start, end in find(style.data.hints, bare)]
        claimed += [(start, end, end - start) for start, end, weight in spans[key] if weight > 1]
    named_first = min((start for start, _, _ in claimed), default=-1)
    for key, found in spans.items():
        score, first = 0.0, len(bare)
        for start, end, weight in found:
            swallowed = any(s <= start and end <= e and length > end - start for s, e, length in claimed)
            if swallowed or _inside(start, refused):
                continue
            score += weight + 0.5 * bare.count(" ", start, end) + (1.0 if weight > 1 and start == named_first else 0.0)
            first = min(first, start)
        if score:
            scores.append((-score, first, key))
    return min(scores)[2] if scores else None


def _moods(bare: str, words: Lexicon, refused: list[tuple[int, int]]) -> tuple[str, float, float, float, float, float]:
    family, tempo, relative, energy, brightness, lofi = "", 1.0, 1.0, 0.0, 0.0, 0.0
    said = 0.0
    for mood in words.moods.values():
        more = find(mood.more, bare)
        plainly = [
            span
            for span in find(mood.words, bare)
            if not _inside(span[0], refused) and not any(start <= span[0] < end for start, end in more)
        ]
        if not more and not plainly:
            continue
        if plainly:
            tempo *= _relative(mood, max(_degree(bare[: span[0]], words) for span in plainly))
        amount = 1.0 if plainly else 0.0
        for start, _ in more:
            degree = _degree(bare[:start], words)
            relative *= _relative(mood, degree)
            amount += degree
        amount = min(amount, 2.5)
        if plainly:
            said += mood.energy
        energy += mood.energy * (amount - (1.0 if plainly else 0.0))
        brightness += mood.brightness * amount
        lofi += mood.lofi * amount
        family = mood.mode or family
    # Many words for the same calm do not add up to silence; what is asked for relatively goes further.
    energy += max(-_MOOD_ENERGY, min(_MOOD_ENERGY, said))
    return family, tempo, relative, energy, max(-1.5, min(1.5, brightness)), lofi


def _degree(before: str, words: Lexicon) -> float:
    """How strongly a relative word is meant: "a bit", plain, "much"."""
    before = before.rstrip()
    if any(end == len(before) for _, end in find(words.grammar["bit"], before)):
        return 0.5
    return 1.8 if any(end == len(before) for _, end in find(words.grammar["much"], before)) else 1.0


def _relative(mood: Mood, degree: float) -> float:
    return 1.0 + (mood.tempo - 1.0) * degree
