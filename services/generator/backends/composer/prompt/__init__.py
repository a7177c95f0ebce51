"""From free text to musical wishes, in English and Italian."""

from __future__ import annotations

from services.generator.backends.composer.prompt.understand import Wishes, understand

__all__ = ["Wishes", "understand"]
