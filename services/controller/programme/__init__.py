"""Prompts by the time of day: a list that the clock goes through, kept in one file."""

from services.controller.programme.changing import as_data, change_programme, idle, programme_change, told
from services.controller.programme.clock import Due, Programme, Slot, coming, due, news
from services.controller.programme.store import open_programme, save_programme

__all__ = [
    "Due",
    "Programme",
    "Slot",
    "as_data",
    "change_programme",
    "coming",
    "due",
    "idle",
    "news",
    "open_programme",
    "programme_change",
    "save_programme",
    "told",
]
