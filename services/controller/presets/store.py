"""The book of presets: our catalogue with the listener's changes laid over it.

Only the changes are kept (``presets.json`` in the configuration folder), so that a newer catalogue still reaches a
listener who changed a few of ours, and ``reset`` is forgetting a change.
"""

from __future__ import annotations

import enum
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from shared import settings
from shared.durable import replace_file, set_aside
from shared.errors import StoreError, UsageError
from shared.messages import PROMPT_LIMIT
from shared.paths import Paths

CATEGORIES: Mapping[str, str] = {
    "calm": "Calm, focus, sleep",
    "electronic": "Electronic",
    "hiphop": "Hip-hop",
    "jazz": "Jazz, soul, funk",
    "latin": "Latin",
    "world": "World",
    "rock": "Rock and folk",
    "classical": "Classical",
    "film": "Film",
    "games": "Games",
    "eras": "Eras",
    "seasonal": "Seasons",
    "beats": "For beat-makers",
    "own": "Your own",
}
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class Preset(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A prompt with a name; it may carry settings, which hold while it plays."""

    name: str
    title: str
    prompt: str
    category: str = "own"
    settings: dict[str, str | int | float | bool] = {}


class MergeRule(enum.Enum):
    """What an import does with names that exist."""

    MERGE = "merge"
    """The imported preset takes the place of the one here."""
    NEW_ONLY = "new-only"
    """The one here stays."""
    REPLACE = "replace"
    """The imported ones are all there is of the listener's own and changed presets."""


@dataclass(frozen=True)
class PresetBook:
    """An immutable book; every change returns a new one."""

    catalogue: Mapping[str, Preset]
    changed: Mapping[str, Preset] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()
    dropped: Mapping[str, Preset] = field(default_factory=dict)
    """The listener's own that were removed: ``reset`` brings them back."""

    @property
    def presets(self) -> dict[str, Preset]:
        """What the listener sees, by name: our order first, then theirs."""
        ours = {name: self.changed.get(name, preset) for name, preset in self.catalogue.items()}
        return {name: preset for name, preset in {**ours, **self.changed}.items() if name not in self.removed}

    def find(self, name: str) -> Preset:
        """The preset of this name or title, capitals and blanks ignored.

        Raises
        ------
        UsageError
            There is none; the sentence names the nearest.
        """
        wanted = _slug(name)
        presets = self.presets
        for preset in presets.values():
            if wanted in (preset.name, _slug(preset.title)):
                return preset
        import difflib

        near = difflib.get_close_matches(wanted, list(presets), n=1)
        hint = f"did you mean {near[0]}?" if near else "`infiniloop presets` lists them."
        raise UsageError(f"There is no preset {name!r}: {hint}")

    def add(self, preset: Preset) -> PresetBook:
        """Add one; a name that exists is refused, so that nothing is lost unseen."""
        checked = check(preset)
        if checked.name in self.presets:
            raise UsageError(f"A preset {checked.name!r} exists: choose another name, or edit that one.")
        return replace(self, changed={**self.changed, checked.name: checked}, removed=self.removed - {checked.name})

    def edit(self, name: str, **changes: Any) -> PresetBook:
        """Change fields of one: title, prompt, category, settings."""
        found = self.find(name)
        changed = check(msgspec.structs.replace(found, **changes))
        return replace(self, changed={**self.changed, found.name: changed})

    def remove(self, name: str) -> PresetBook:
        """Take one away; it comes back with ``reset``."""
        found = self.find(name)
        changed = {key: preset for key, preset in self.changed.items() if key != found.name}
        if found.name in self.catalogue:
            return replace(self, changed=changed, removed=self.removed | {found.name})
        return replace(self, changed=changed, dropped={**self.dropped, found.name: found})

    def reset(self, name: str | None = None) -> PresetBook:
        """Bring one of ours back as it was, or a removed one of the listener's; without a name all of ours.

        The listener's own presets stay.
        """
        if name is None:
            own = {key: preset for key, preset in self.changed.items() if key not in self.catalogue}
            return replace(self, changed=own, removed=frozenset())
        wanted = _slug(name)
        if wanted in self.dropped and wanted not in self.presets:
            kept = {key: preset for key, preset in self.dropped.items() if key != wanted}
            return replace(self, changed={**self.changed, wanted: self.dropped[wanted]}, dropped=kept)
        if wanted not in self.catalogue:
            raise UsageError(
                f"{name!r} is neither one of the station's own presets nor one that was removed: "
                "there is nothing to go back to."
            )
        changed = {key: preset for key, preset in self.changed.items() if key != wanted}
        return replace(self, changed=changed, removed=self.removed - {wanted})

    def merge(self, imported: list[Preset], rule: MergeRule) -> PresetBook:
        """Take on presets from elsewhere, all or none."""
        checked = {preset.name: check(preset) for preset in imported}
        if rule is MergeRule.NEW_ONLY:
            checked = {name: preset for name, preset in checked.items() if name not in self.presets}
        kept = {} if rule is MergeRule.REPLACE else self.changed
        hidden = frozenset(self.catalogue) if rule is MergeRule.REPLACE else self.removed
        gone = {key: preset for key, preset in self.changed.items() if key not in {*kept, *checked, *self.catalogue}}
        return replace(
            self,
            changed={**kept, **checked},
            removed=hidden - frozenset(checked),
            dropped={**self.dropped, **gone},
        )


def check(preset: Preset) -> Preset:
    """The preset, its name and settings brought into their form.

    Raises
    ------
    UsageError
        Something about it is not allowed; the sentence says what is.
    """
    name = _slug(preset.name)
    if not _NAME.fullmatch(name):
        raise UsageError(f"A preset cannot be named {preset.name!r}: use 1 to 40 letters, digits and hyphens.")
    prompt = " ".join(preset.prompt.split())
    if not 1 <= len(prompt) <= PROMPT_LIMIT:
        raise UsageError(f"The prompt of {name!r} must have 1 to {PROMPT_LIMIT} characters.")
    if preset.category not in CATEGORIES:
        raise UsageError(f"There is no category {preset.category!r}: choose {', '.join(CATEGORIES)}.")
    checked = {}
    for key, value in preset.settings.items():
        found = settings.find_field(key)
        checked[found.name] = found.check(value)
    return msgspec.structs.replace(
        preset, name=name, title=preset.title.strip()[:80] or name, prompt=prompt, settings=checked
    )


def read_catalogue() -> dict[str, Preset]:
    """The presets that come with the station."""
    text = resources.files("services.controller.presets").joinpath("catalogue.toml").read_text("utf-8")
    return {
        name: Preset(name=name, category=category, **given)
        for category, presets in tomllib.loads(text).items()
        for name, given in presets.items()
    }


class _Changes(msgspec.Struct, frozen=True, kw_only=True):
    """The file of a listener's changes, and the format of an export."""

    version: int = 1
    presets: list[Preset] = []
    removed: list[str] = []
    dropped: list[Preset] = []


def open_book(paths: Paths) -> tuple[PresetBook, str | None]:
    """The book in force. A file that cannot be read is set aside; the second value is the sentence that says so."""
    path = _file(paths)
    book = PresetBook(read_catalogue())
    if not path.exists():
        return book, None
    try:
        changes = _read(path)
    except StoreError as error:
        try:
            aside = set_aside(path)
        except OSError:
            return book, f"{error} It stays where it is; the station's own presets are used."
        return book, f"{error} It was set aside as {aside}; the station's own presets are used."
    found = replace(
        book,
        changed={p.name: p for p in changes.presets},
        removed=frozenset(changes.removed),
        dropped={p.name: p for p in changes.dropped},
    )
    return found, None


def save(paths: Paths, book: PresetBook) -> None:
    """Write the listener's changes; whole or not at all."""
    changes = _Changes(
        presets=list(book.changed.values()), removed=sorted(book.removed), dropped=list(book.dropped.values())
    )
    replace_file(_file(paths), _pretty(changes))


def export(book: PresetBook, path: Path, *, own_only: bool = False) -> int:
    """Write presets for somebody else; returns how many."""
    chosen = [p for p in book.presets.values() if not own_only or p.name in book.changed]
    replace_file(path, _pretty(_Changes(presets=chosen)))
    return len(chosen)


def load(path: Path) -> list[Preset]:
    """The presets in an exported file.

    Raises
    ------
    StoreError
        It cannot be read or is not such a file.
    """
    return _read(path).presets


def _file(paths: Paths) -> Path:
    return paths.config / "presets.json"


def _read(path: Path) -> _Changes:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Changes)
    except OSError as error:
        raise StoreError(f"The presets in {path} cannot be read ({(error.strerror or str(error)).lower()}).") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"The presets in {path} cannot be understood ({error}).") from error


def _pretty(changes: _Changes) -> bytes:
    return json.dumps(msgspec.to_builtins(changes), indent=2, ensure_ascii=False).encode() + b"\n"


def _slug(words: str) -> str:
    """``Deep focus`` → ``deep-focus``; accents fall away."""
    import unicodedata

    plain = unicodedata.normalize("NFKD", words.strip().lower()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
