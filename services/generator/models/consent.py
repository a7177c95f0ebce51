"""What the listener said to a download. Asked once: a yes holds, a no is remembered and the station asks no more."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import msgspec

from shared.durable import replace_file
from shared.errors import StoreError

Said = Literal["yes", "no"]
FILE: Final = "consent.json"


class _Answers(msgspec.Struct, kw_only=True):
    answers: dict[str, Said] = {}


class Consent:
    """The answers, in one small file beside the models. Names may be of any maker: ``small``, ``musicgpt:small``."""

    def __init__(self, root: Path) -> None:
        self._path = root / FILE

    def said(self, model: str) -> Said | None:
        """The answer for a model; ``None`` if nobody was asked."""
        return self._read().answers.get(model)

    def remember(self, model: str, answer: Said) -> None:
        """Keep an answer.

        Raises
        ------
        StoreError
            It cannot be written.
        """
        kept = self._read()
        kept.answers[model] = answer
        replace_file(self._path, msgspec.json.format(msgspec.json.encode(kept)))

    def _read(self) -> _Answers:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Answers)
        except FileNotFoundError:
            return _Answers()
        except msgspec.DecodeError:
            # A file that cannot be read is no consent: set it aside, and ask again.
            self._path.replace(self._path.with_suffix(".unreadable"))
            return _Answers()
        except OSError as error:
            raise StoreError(f"{self._path} cannot be read: {error.strerror or error}.") from error
