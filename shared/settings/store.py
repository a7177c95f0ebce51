"""Reading and writing settings. Precedence: flag, then environment, then file, then default.

What a preset carries lies in a file of its own over the listener's; it goes when another prompt comes.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from shared.durable import replace_file, set_aside
from shared.errors import SettingError, StoreError
from shared.paths import Paths
from shared.settings.analyzer import AnalyzerSettings
from shared.settings.controller import ControllerSettings
from shared.settings.dashboard import DashboardSettings
from shared.settings.fields import Field, Value, bind
from shared.settings.generator import GeneratorSettings
from shared.settings.player import PlayerSettings

PREFIX = "INFINILOOP_"


@dataclass(frozen=True)
class Settings:
    """Everything that a listener can set, whole and checked."""

    generator: GeneratorSettings = field(default_factory=GeneratorSettings)
    analyzer: AnalyzerSettings = field(default_factory=AnalyzerSettings)
    player: PlayerSettings = field(default_factory=PlayerSettings)
    controller: ControllerSettings = field(default_factory=ControllerSettings)
    dashboard: DashboardSettings = field(default_factory=DashboardSettings)

    @property
    def door(self) -> ControllerSettings:
        """The controller's settings as the door for other machines takes them: closed where the network is off."""
        return replace(self.controller, lan=False) if self.generator.offline else self.controller


_SECTIONS: dict[str, type] = {
    "generator": GeneratorSettings,
    "analyzer": AnalyzerSettings,
    "player": PlayerSettings,
    "controller": ControllerSettings,
    "dashboard": DashboardSettings,
}
_FIELDS: tuple[Field, ...] = tuple(f for section, declared in _SECTIONS.items() for f in bind(section, declared))


def fields() -> tuple[Field, ...]:
    """Every setting there is, section by section."""
    return _FIELDS


def find_field(key: str) -> Field:
    """The setting that a listener means by ``volume``, ``player.volume``, ``min-loop`` or ``minlength``.

    Raises
    ------
    SettingError
        There is none; the sentence names the nearest.
    """
    wanted = key.strip().lower().replace("-", "_")
    for candidate in _FIELDS:
        if wanted in (candidate.name, candidate.key, *candidate.aliases):
            return candidate
    import difflib

    near = difflib.get_close_matches(wanted, [f.name for f in _FIELDS], n=1)
    hint = f"did you mean {near[0]}?" if near else "`infiniloop settings` lists them."
    raise SettingError(f"There is no setting {key!r}: {hint}")


def read_value(settings: Settings, chosen: Field) -> Value:
    """The value of one setting."""
    value: Value = getattr(getattr(settings, chosen.section), chosen.name)
    return value


def load(
    paths: Paths, *, environment: Mapping[str, str] | None = None, flags: Mapping[str, Any] | None = None
) -> tuple[Settings, list[str]]:
    """The settings in force, and a sentence for each thing in the file or environment that was passed over.

    A flag that is out of range is the listener's own mistake and is refused; a bad line in the file or environment
    leaves that one setting at its default, so that the station still starts.

    Parameters
    ----------
    flags : what was given on the command line, by the settings' names; ``None`` values are ignored.

    Raises
    ------
    SettingError
        A flag is unknown or out of range.
    """
    environment = os.environ if environment is None else environment
    problems: list[str] = []
    layers = [(_read_file(path, problems), path) for path in (paths.preset_settings_file, paths.settings_file)]
    given_flags = {find_field(name).key: value for name, value in (flags or {}).items() if value is not None}
    sections: dict[str, dict[str, Value]] = {name: {} for name in _SECTIONS}
    for each in _FIELDS:
        if each.key in given_flags:
            sections[each.section][each.name] = each.check(given_flags[each.key])
            continue
        variable = f"{PREFIX}{each.section}_{each.name}".upper()
        for given, source in (
            (environment.get(variable), f"the environment ({variable})"),
            *((stored.get(each.section, {}).get(each.name), str(path)) for stored, path in layers),
        ):
            if given is None:
                continue
            try:
                sections[each.section][each.name] = each.check(given, source)
            except SettingError as error:
                problems.append(f"{error} {each.default!r} is used.")
                continue
            break
    return Settings(**{name: _SECTIONS[name](**values) for name, values in sections.items()}), problems


def change(paths: Paths, key: str, given: Any) -> tuple[Field, Value]:
    """Check one setting and write it to the file, which keeps the listener's own comments and order.

    What a preset has set goes for it.

    Raises
    ------
    SettingError
        Unknown or out of range; nothing was written.
    StoreError
        The file cannot be read or written; it is as it was.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    chosen = find_field(key)
    value = chosen.check(given)
    path = paths.settings_file
    try:
        document = tomlkit.parse(path.read_text("utf-8")) if path.exists() else tomlkit.document()
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise StoreError(
            f"The settings in {path} cannot be read ({_first_line(error)}): mend or move the file."
        ) from error
    section = document.setdefault(chosen.section, tomlkit.table())
    section[chosen.name] = value
    replace_file(path, tomlkit.dumps(document).encode())
    carried = carried_settings(paths)
    if carried.pop(chosen.key, None) is not None:
        carry(paths, carried)
    return chosen, value


def carried_settings(paths: Paths) -> dict[str, Any]:
    """What the preset that plays has set, by the settings' whole names."""
    stored = _read_file(paths.preset_settings_file, [])
    return {f"{section}.{name}": value for section, values in stored.items() for name, value in values.items()}


def carry(paths: Paths, values: Mapping[str, Value]) -> None:
    """Have these go before the listener's own settings, by their whole names; none: only their own are in force.

    Raises
    ------
    StoreError
        The file cannot be written; it is as it was.
    """
    path = paths.preset_settings_file
    if not values:
        path.unlink(missing_ok=True)
        return
    import tomlkit

    sections: dict[str, dict[str, Value]] = {}
    for key, value in values.items():
        chosen = find_field(key)
        sections.setdefault(chosen.section, {})[chosen.name] = chosen.check(value)
    replace_file(path, tomlkit.dumps(sections).encode())


def set_aside_broken(paths: Paths) -> str | None:
    """Move a settings file that is not TOML out of the way, keeping it; returns a sentence that names it, or None."""
    path = paths.settings_file
    problems: list[str] = []
    if not path.exists() or _read_file(path, problems) or not problems or not os.access(path, os.R_OK):
        return None
    try:
        aside = set_aside(path)
    except OSError as error:
        return f"{problems[0]} It could not be set aside ({error.strerror}); the defaults are used."
    return f"{problems[0]} It was set aside as {aside}; the defaults are used."


def _read_file(path: Path, problems: list[str]) -> dict[str, dict[str, Any]]:
    try:
        parsed = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        problems.append(f"The settings in {path} cannot be read ({_first_line(error)}).")
        return {}
    for name, section in parsed.items():
        known = {f.name for f in _FIELDS if f.section == name}
        if not known or not isinstance(section, dict):
            problems.append(f"{path} has an unknown section [{name}]; it is ignored.")
            continue
        problems.extend(
            f"{path} has an unknown setting {name}.{key}; it is ignored." for key in section if key not in known
        )
    return {name: section for name, section in parsed.items() if isinstance(section, dict)}


def _first_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error).splitlines()[0] if str(error) else type(error).__name__
