"""Where MusicGPT is, and which of its models and libraries lie in its data directory."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.paths import Paths
from shared.settings.generator import GeneratorSettings

NAMES = ("musicgpt", "musicgpt-x86_64-unknown-linux-gnu", "musicgpt-aarch64-apple-darwin")
"""What the program is called when installed, and as it is published."""

_PARTS: dict[str, tuple[str, str, bool]] = {
    # model: folder of the decoder, folder of text encoder and EnCodec, whether the decoder has a data file beside it
    "small": ("small_fp32", "small_fp32", False),
    "small-fp16": ("small_fp16", "small_fp16", False),
    "small-quant": ("small_i8", "small_fp32", False),
    "medium": ("medium_fp32", "medium_fp32", True),
    "medium-fp16": ("medium_fp16", "medium_fp16", True),
    "medium-quant": ("medium_i8", "medium_fp32", False),
    "large": ("large_fp32", "large_fp32", True),
}
MODELS = tuple(_PARTS)
_LIBRARIES = ("libonnxruntime*.so*", "libonnxruntime*.dylib")


@dataclass(frozen=True)
class Installation:
    """MusicGPT on this machine."""

    binary: Path | None
    data: Path
    """The program's own data directory."""
    looked_for: str
    """Where the binary was looked for, for the sentence that says it is missing."""

    def models(self) -> tuple[str, ...]:
        """The models that are there, whole."""
        return tuple(model for model in MODELS if all(path.is_file() for path in self.files(model)))

    def files(self, model: str) -> tuple[Path, ...]:
        """The files of which a model is made."""
        decoder, rest, external = _PARTS[model]
        size = model.split("-", maxsplit=1)[0]
        names = [
            f"{size}/config.json",
            f"{size}/tokenizer.json",
            f"{rest}/text_encoder.onnx",
            f"{decoder}/decoder_model_merged.onnx",
            f"{rest}/encodec_decode.onnx",
        ]
        if external:
            names.append(f"{decoder}/decoder_model_merged.onnx_data")
        return tuple(self.data / "v1" / name for name in names)

    def has_runtime(self) -> bool:
        """Whether the ONNX Runtime library that the program loads is there."""
        folder = self.data / "dynlibs"
        return folder.is_dir() and any(any(folder.rglob(pattern)) for pattern in _LIBRARIES)


def find(paths: Paths, settings: GeneratorSettings) -> Installation:
    """Look for the program in the settings, in PATH, and beside the data."""
    data = data_folder(settings.models_path)
    beside = (data, data / "bin", paths.data / "bin", paths.models)
    if settings.musicgpt:
        named = Path(settings.musicgpt).expanduser()
        return Installation(_executable(named), data, f"at {named}, as the settings say")
    candidates = [Path(path) for name in NAMES if (path := shutil.which(name))]
    candidates += [folder / name for folder in beside for name in NAMES]
    found = next((path for path in map(_executable, candidates) if path is not None), None)
    return Installation(found, data, f"in PATH and in {beside[2]}")


def data_folder(models_path: str = "", environment: Mapping[str, str] = os.environ) -> Path:
    """Where the program's models lie: in its own folder, or in the one that the listener named for models.

    What the program has already in its own folder is used there, and the named one is left to models still to come.
    """
    own = default_data(environment)
    if not models_path or (own / "v1").is_dir():
        return own
    return Path(models_path).expanduser().absolute() / "musicgpt"


def default_data(environment: Mapping[str, str] = os.environ) -> Path:
    """The program's own data directory, where it is not told of another."""
    home = Path(environment.get("HOME") or Path.home())
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "com.gabotechs.musicgpt"
    named = environment.get("XDG_DATA_HOME", "")
    return (Path(named) if named.startswith("/") else home / ".local" / "share") / "musicgpt"


def _executable(path: Path) -> Path | None:
    return path.absolute() if path.is_file() and os.access(path, os.X_OK) else None
