"""Settings of the generator."""

from __future__ import annotations

from dataclasses import dataclass

from shared.settings.fields import choice, number, switch, text

MODELS = (
    "small",
    "medium",
    "large",
    "small-fp16",
    "small-quant",
    "medium-fp16",
    "medium-quant",
    "stereo-small",
    "stereo-medium",
    "stereo-large",
)


@dataclass(frozen=True)
class GeneratorSettings:
    backend: str = choice("auto", "musicgen", "musicgpt", "composer", help="what makes the music")
    model: str = choice(*MODELS, help="the model's size; larger is better and slower")
    device: str = choice("auto", "cpu", "cuda", help="where the model runs")
    precision: str = choice("int8", "int4", "fp32", help="how the model's weights are stored")
    duration: float = number(12.0, 5, 30, unit="s", help="clip length", aliases=("clip_length",))
    musicgpt: str = text("", help="path of the MusicGPT binary, where it is not found by itself", allowed="a path")
    models_path: str = text("", help="folder of the models, where it is not the usual one", allowed="a path")
    offline: bool = switch(False, help="never ask the network for anything")
