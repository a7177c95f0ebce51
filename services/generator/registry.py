"""Every backend there is, and how each is built. Building one imports it, so only the inference child does that."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType

from services.generator.backend import Backend
from shared.errors import BackendUnavailable
from shared.messages import Capabilities
from shared.paths import Paths
from shared.settings.generator import GeneratorSettings

log = logging.getLogger(__name__)

Builder = Callable[[Paths, GeneratorSettings], Backend]


def _composer(paths: Paths, _settings: GeneratorSettings) -> Backend:
    from services.generator.backends.composer.backend import ComposerBackend

    return ComposerBackend(styles_folder=paths.config / "styles")


def _musicgen(paths: Paths, settings: GeneratorSettings) -> Backend:
    from services.generator.backends.musicgen.backend import MusicGenBackend

    return MusicGenBackend(paths, settings)


def _musicgpt(paths: Paths, settings: GeneratorSettings) -> Backend:
    from services.generator.backends.musicgpt.backend import MusicGptBackend

    return MusicGptBackend(paths, settings)


BACKENDS: Mapping[str, Builder] = MappingProxyType(
    {"musicgen": _musicgen, "musicgpt": _musicgpt, "composer": _composer}
)


class Shelf:
    """The backends of one process, built when they are first asked for and kept warm."""

    def __init__(self, builders: Mapping[str, Builder], paths: Paths, settings: GeneratorSettings) -> None:
        self._builders, self._paths, self._settings = builders, paths, settings
        self._built: dict[str, Backend] = {}
        self._broken: dict[str, str] = {}
        """What was wrong when it was looked at last; logged once."""

    def take(self, name: str) -> Backend:
        """The backend of this name.

        Raises
        ------
        BackendUnavailable
            It is unknown, or what it is made of is not installed.
        """
        if name not in self._builders:
            raise BackendUnavailable(f"There is no backend {name!r}: choose one of {', '.join(self._builders)}.")
        if name not in self._built:
            try:
                self._built[name] = self._builders[name](self._paths, self._settings)
            except ImportError as error:
                log.debug("The backend %s cannot be imported", name, exc_info=True)
                raise BackendUnavailable(
                    f"{name} needs the package {error.name or error}: install infiniloop[{name}] to have it."
                ) from error
        return self._built[name]

    def survey(self) -> tuple[Capabilities, ...]:
        """What each backend can do now; one that is broken says so and takes none of the others with it."""
        return tuple(self._look_at(name) for name in self._builders)

    def _look_at(self, name: str) -> Capabilities:
        try:
            return self.take(name).capabilities()
        except BackendUnavailable as error:
            return Capabilities(backend=name, available=False, reason=str(error))
        except Exception as error:
            reason = f"{name} is broken: {first_line(error)}."
            if self._broken.get(name) != reason:
                self._broken[name] = reason
                log.exception("The backend %s cannot be looked at", name)
            return Capabilities(backend=name, available=False, reason=reason)


def first_line(error: BaseException) -> str:
    """An error in a few words, for a sentence around it."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].rstrip('.')}" if lines else type(error).__name__
