"""The shape of a MusicGen model, as its ``config.json`` tells it: text encoder, decoder, codec."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import BackendError


class CheckpointError(BackendError):
    """The folder holds no MusicGen checkpoint, or a damaged one."""


@dataclass(frozen=True)
class TextShape:
    """The T5 encoder that reads the prompt."""

    layers: int
    width: int
    heads: int
    head_width: int
    inner: int
    vocabulary: int
    buckets: int
    max_distance: int
    epsilon: float


@dataclass(frozen=True)
class DecoderShape:
    """The transformer that writes the codes."""

    layers: int
    width: int
    heads: int
    inner: int
    vocabulary: int
    """Codes of one codebook; the padding code has this number."""
    codebooks: int
    channels: int
    positions: int
    embedding_scale: float

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    @property
    def delays(self) -> tuple[int, ...]:
        """By how many steps each codebook comes late; left and right of a stereo model come together."""
        return tuple(book // self.channels for book in range(self.codebooks))


@dataclass(frozen=True)
class CodecShape:
    """The EnCodec decoder that turns codes into sound."""

    sample_rate: int
    width: int
    filters: int
    ratios: tuple[int, ...]
    kernel: int
    last_kernel: int
    residual_kernel: int
    residual_layers: int
    dilation_growth: int
    compress: int
    lstm_layers: int
    codebooks: int
    codebook_size: int
    shortcut: bool

    @property
    def hop(self) -> int:
        """Samples per code frame."""
        return math.prod(self.ratios)

    @property
    def frame_rate(self) -> float:
        return self.sample_rate / self.hop

    @property
    def latent_width(self) -> int:
        return int(self.filters * 2 ** len(self.ratios))


@dataclass(frozen=True)
class Shape:
    """A whole model, as ``config.json`` tells it."""

    text: TextShape
    decoder: DecoderShape
    codec: CodecShape

    @classmethod
    def parse(cls, config: Mapping[str, Any]) -> Shape:
        """The shape in a checkpoint's ``config.json``.

        Raises
        ------
        CheckpointError
            Another kind of model, or one whose parts the engine does not know.
        """
        if config.get("model_type") != "musicgen":
            kind = config.get("model_type", "unknown")
            raise CheckpointError(
                f"This is a model of type {kind!r}, not MusicGen: choose one of `infiniloop models list`."
            )
        try:
            text, decoder, codec = config["text_encoder"], config["decoder"], config["audio_encoder"]
            _expect("text encoder", text, model_type="t5", feed_forward_proj="relu")
            _expect("decoder", decoder, activation_function="gelu")
            _expect(
                "audio codec",
                codec,
                model_type="encodec",
                use_causal_conv=False,
                pad_mode="reflect",
                norm_type="weight_norm",
                normalize=False,
                audio_channels=1,
            )
            shape = cls(
                text=TextShape(
                    layers=int(text["num_layers"]),
                    width=int(text["d_model"]),
                    heads=int(text["num_heads"]),
                    head_width=int(text["d_kv"]),
                    inner=int(text["d_ff"]),
                    vocabulary=int(text["vocab_size"]),
                    buckets=int(text.get("relative_attention_num_buckets", 32)),
                    max_distance=int(text.get("relative_attention_max_distance", 128)),
                    epsilon=float(text.get("layer_norm_epsilon", 1e-6)),
                ),
                decoder=DecoderShape(
                    layers=int(decoder["num_hidden_layers"]),
                    width=int(decoder["hidden_size"]),
                    heads=int(decoder["num_attention_heads"]),
                    inner=int(decoder["ffn_dim"]),
                    vocabulary=int(decoder["vocab_size"]),
                    codebooks=int(decoder["num_codebooks"]),
                    channels=int(decoder.get("audio_channels", 1)),
                    positions=int(decoder.get("max_position_embeddings", 2048)),
                    embedding_scale=math.sqrt(decoder["hidden_size"]) if decoder.get("scale_embedding") else 1.0,
                ),
                codec=CodecShape(
                    sample_rate=int(codec["sampling_rate"]),
                    width=int(codec["hidden_size"]),
                    filters=int(codec["num_filters"]),
                    ratios=tuple(int(ratio) for ratio in codec["upsampling_ratios"]),
                    kernel=int(codec["kernel_size"]),
                    last_kernel=int(codec["last_kernel_size"]),
                    residual_kernel=int(codec["residual_kernel_size"]),
                    residual_layers=int(codec["num_residual_layers"]),
                    dilation_growth=int(codec["dilation_growth_rate"]),
                    compress=int(codec["compress"]),
                    lstm_layers=int(codec["num_lstm_layers"]),
                    codebooks=int(decoder["num_codebooks"]) // int(decoder.get("audio_channels", 1)),
                    codebook_size=int(codec["codebook_size"]),
                    shortcut=bool(codec["use_conv_shortcut"]),
                ),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"The model's config.json lacks or garbles {error}: download the model again."
            ) from error
        if shape.decoder.width % shape.decoder.heads or shape.decoder.channels not in {1, 2}:
            raise CheckpointError("The model's config.json contradicts itself: download the model again.")
        return shape


def _expect(part: str, config: Mapping[str, Any], **wanted: object) -> None:
    for key, value in wanted.items():
        if config.get(key, value) != value:
            raise CheckpointError(
                f"The model's {part} has {key} = {config[key]!r}, which this engine does not know (it knows {value!r}):"
                " choose one of `infiniloop models list`."
            )
