"""Saving: sound into files exactly where the listener said, which say how they loop and truthfully what they are."""

from services.controller.saving.encoding import FORMATS, MP3_WARNING, check_length, encode
from services.controller.saving.loops import Saved, SaveOrder, check_order, read_loop, save_loop, write_file
from services.controller.saving.music import section_of
from services.controller.saving.place import Target, check_folder, find_target, occupied, placed, taken_error
from services.controller.saving.tags import Tags, file_name, tags_of

__all__ = [
    "FORMATS",
    "MP3_WARNING",
    "SaveOrder",
    "Saved",
    "Tags",
    "Target",
    "check_folder",
    "check_length",
    "check_order",
    "encode",
    "file_name",
    "find_target",
    "occupied",
    "placed",
    "read_loop",
    "save_loop",
    "section_of",
    "tags_of",
    "taken_error",
    "write_file",
]
