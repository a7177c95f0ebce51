"""Presets: named prompts, ours and the listener's own."""

from services.controller.presets.store import CATEGORIES, MergeRule, Preset, PresetBook, load, open_book, save

__all__ = ["CATEGORIES", "MergeRule", "Preset", "PresetBook", "load", "open_book", "save"]
