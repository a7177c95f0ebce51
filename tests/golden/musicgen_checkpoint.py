"""Random MusicGen checkpoints of the true structure, in any size, from a seed; no torch.

``numpy.random.RandomState`` gives the same numbers for ever, so goldens need not be stored with their checkpoint.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Spelling = Literal["old", "new"]
"""How a convolution's weight norm is stored: ``weight_g``/``weight_v``, or as a parametrisation."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a checkpoint is to be."""

    seed: int = 1
    layers: int = 2
    width: int = 32
    heads: int = 2
    inner: int = 64
    vocabulary: int = 64
    channels: int = 1
    text_layers: int = 2
    text_width: int = 16
    text_heads: int = 2
    text_inner: int = 32
    text_vocabulary: int = 96
    codec_width: int = 8
    filters: int = 2
    spelling: Spelling = "new"
    dtype: Literal["F32", "F16", "BF16"] = "F32"
    shards: int = 1

    @property
    def codebooks(self) -> int:
        return 4 * self.channels

    def config(self) -> dict[str, Any]:
        """``config.json``, with the keys and values of the published models."""
        return {
            "model_type": "musicgen",
            "architectures": ["MusicgenForConditionalGeneration"],
            "text_encoder": {
                "model_type": "t5",
                "d_model": self.text_width,
                "d_kv": self.text_width // self.text_heads,
                "d_ff": self.text_inner,
                "num_layers": self.text_layers,
                "num_heads": self.text_heads,
                "vocab_size": self.text_vocabulary,
                "feed_forward_proj": "relu",
                "relative_attention_num_buckets": 32,
                "relative_attention_max_distance": 128,
                "layer_norm_epsilon": 1e-6,
            },
            "decoder": {
                "model_type": "musicgen_decoder",
                "num_hidden_layers": self.layers,
                "hidden_size": self.width,
                "num_attention_heads": self.heads,
                "ffn_dim": self.inner,
                "vocab_size": self.vocabulary,
                "num_codebooks": self.codebooks,
                "audio_channels": self.channels,
                "max_position_embeddings": 2048,
                "activation_function": "gelu",
                "scale_embedding": False,
                "pad_token_id": self.vocabulary,
                "bos_token_id": self.vocabulary,
            },
            "audio_encoder": {
                "model_type": "encodec",
                "sampling_rate": 32_000,
                "audio_channels": 1,
                "normalize": False,
                "hidden_size": self.codec_width,
                "num_filters": self.filters,
                "num_residual_layers": 1,
                "upsampling_ratios": [8, 5, 4, 4],
                "norm_type": "weight_norm",
                "kernel_size": 7,
                "last_kernel_size": 7,
                "residual_kernel_size": 3,
                "dilation_growth_rate": 2,
                "use_causal_conv": False,
                "pad_mode": "reflect",
                "compress": 2,
                "num_lstm_layers": 2,
                "codebook_size": self.vocabulary,
                "use_conv_shortcut": False,
                "target_bandwidths": [4 * 50 * math.log2(self.vocabulary) / 1000],
                "chunk_length_s": None,
            },
        }

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...], float]]:
        """Name, size and spread of every tensor that decoding needs; gains are spread around 1, all else around 0."""
        yield from self._text()
        yield from self._decoder()
        yield from self._codec()

    def _text(self) -> Iterator[tuple[str, tuple[int, ...], float]]:
        width, inner = self.text_width, self.text_inner
        yield "text_encoder.shared.weight", (self.text_vocabulary, width), 1.0
        for layer in range(self.text_layers):
            place = f"text_encoder.encoder.block.{layer}.layer."
            for letter in "qkvo":
                spread = (width * width / self.text_heads) ** -0.5 if letter == "q" else width**-0.5
                yield f"{place}0.SelfAttention.{letter}.weight", (width, width), spread
            if layer == 0:
                yield f"{place}0.SelfAttention.relative_attention_bias.weight", (32, self.text_heads), 0.5
            yield f"{place}0.layer_norm.weight", (width,), 0.1
            yield f"{place}1.DenseReluDense.wi.weight", (inner, width), width**-0.5
            yield f"{place}1.DenseReluDense.wo.weight", (width, inner), inner**-0.5
            yield f"{place}1.layer_norm.weight", (width,), 0.1
        yield "text_encoder.encoder.final_layer_norm.weight", (width,), 0.1

    def _decoder(self) -> Iterator[tuple[str, tuple[int, ...], float]]:
        width, root = self.width, "decoder.model.decoder."
        if self.text_width != width:
            yield "enc_to_dec_proj.weight", (width, self.text_width), self.text_width**-0.5
            yield "enc_to_dec_proj.bias", (width,), 0.1
        for book in range(self.codebooks):
            yield f"{root}embed_tokens.{book}.weight", (self.vocabulary + 1, width), 0.5
            yield f"decoder.lm_heads.{book}.weight", (self.vocabulary, width), width**-0.5
        for layer in range(self.layers):
            place = f"{root}layers.{layer}."
            for part in ("self_attn", "encoder_attn"):
                for letter in ("q_proj", "k_proj", "v_proj", "out_proj"):
                    yield f"{place}{part}.{letter}.weight", (width, width), width**-0.5
            for norm in ("self_attn_layer_norm", "encoder_attn_layer_norm", "final_layer_norm"):
                yield f"{place}{norm}.weight", (width,), 0.1
                yield f"{place}{norm}.bias", (width,), 0.1
            yield f"{place}fc1.weight", (self.inner, width), width**-0.5
            yield f"{place}fc2.weight", (width, self.inner), self.inner**-0.5
        yield f"{root}layer_norm.weight", (width,), 0.1
        yield f"{root}layer_norm.bias", (width,), 0.1

    def _codec(self) -> Iterator[tuple[str, tuple[int, ...], float]]:
        root, width = "audio_encoder.decoder.layers.", self.filters * 16
        for book in range(4):
            place = f"audio_encoder.quantizer.layers.{book}.codebook.embed"
            yield place, (self.vocabulary, self.codec_width), 1.0
        yield from self._convolution(f"{root}0.conv", (width, self.codec_width, 7), width)
        for layer in range(2):
            for part in ("ih", "hh"):
                yield f"{root}1.lstm.weight_{part}_l{layer}", (4 * width, width), width**-0.5
                yield f"{root}1.lstm.bias_{part}_l{layer}", (4 * width,), 0.1
        place = 3
        for ratio in (8, 5, 4, 4):
            half = width // 2
            yield from self._convolution(f"{root}{place}.conv", (width, half, 2 * ratio), half)
            yield from self._convolution(f"{root}{place + 1}.block.1.conv", (half // 2, half, 3), half // 2)
            yield from self._convolution(f"{root}{place + 1}.block.3.conv", (half, half // 2, 1), half)
            place, width = place + 3, half
        yield from self._convolution(f"{root}{place}.conv", (1, width, 7), 1)

    def _convolution(
        self, name: str, size: tuple[int, int, int], outputs: int
    ) -> Iterator[tuple[str, tuple[int, ...], float]]:
        gain, direction = (
            (f"{name}.weight_g", f"{name}.weight_v")
            if self.spelling == "old"
            else (f"{name}.parametrizations.weight.original0", f"{name}.parametrizations.weight.original1")
        )
        yield gain, (size[0], 1, 1), 0.1
        yield direction, size, (size[1] * size[2]) ** -0.5
        yield f"{name}.bias", (outputs,), 0.05


TINY = Plan()
STEREO = Plan(seed=2, layers=3, channels=2, spelling="old", dtype="F16")
DEEP = Plan(seed=3, layers=5, heads=4, text_width=32, text_inner=48, shards=3, dtype="BF16")
CASES = {"mono": TINY, "stereo": STEREO, "deep": DEEP}
"""What the goldens are made of."""

SMALL = Plan(
    layers=24,
    width=1024,
    heads=16,
    inner=4096,
    vocabulary=2048,
    text_layers=12,
    text_width=768,
    text_heads=12,
    text_inner=3072,
    text_vocabulary=32_128,
    codec_width=128,
    filters=64,
    spelling="old",
)
MEDIUM = dataclasses.replace(SMALL, layers=48, width=1536, heads=24, inner=6144)
LARGE = dataclasses.replace(SMALL, layers=48, width=2048, heads=32, inner=8192, shards=3)
MONO = {"small": SMALL, "medium": MEDIUM, "large": LARGE}
SIZES = MONO | {f"stereo-{name}": dataclasses.replace(plan, channels=2) for name, plan in MONO.items()}
"""Plans of the published models' true sizes, by their names."""


def write_checkpoint(folder: Path, plan: Plan) -> Path:
    """Write the checkpoint of a plan, tensor by tensor."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(plan.config(), indent=1))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer(plan.text_vocabulary)))
    random = np.random.RandomState(plan.seed)
    tensors = list(plan.tensors())
    names = (
        ["model.safetensors"]
        if plan.shards == 1
        else [f"model-{shard + 1:05}-of-{plan.shards:05}.safetensors" for shard in range(plan.shards)]
    )
    share = math.ceil(len(tensors) / plan.shards)
    shards = {name: tensors[first * share : (first + 1) * share] for first, name in enumerate(names)}
    for name, part in shards.items():
        _write_shard(folder / name, part, plan, random)
    if plan.shards > 1:
        places = {tensor: name for name, part in shards.items() for tensor, _, _ in part}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return folder


def _write_shard(
    path: Path, tensors: list[tuple[str, tuple[int, ...], float]], plan: Plan, random: np.random.RandomState
) -> None:
    bytes_each = 4 if plan.dtype == "F32" else 2
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, size, _ in tensors:
        end = offset + math.prod(size) * bytes_each
        header[name] = {"dtype": plan.dtype, "shape": list(size), "data_offsets": [offset, end]}
        offset = end
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    with path.open("wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for name, size, spread in tensors:
            file.write(_stored(_values(name, size, spread, random), plan.dtype))


def _values(name: str, size: tuple[int, ...], spread: float, random: np.random.RandomState) -> NDArray[np.float32]:
    big = math.prod(size) > 1 << 20
    # Large tables repeat a short stretch of noise: speed and memory do not depend on it, and it is made far sooner.
    drawn = random.standard_normal(1 << 20 if big else math.prod(size)).astype(np.float32)
    values = np.resize(np.roll(drawn, random.randint(1 << 20)), math.prod(size)) if big else drawn
    gain = name.endswith(("norm.weight", "weight_g", "original0"))
    scaled: NDArray[np.float32] = values.reshape(size) * np.float32(spread) + np.float32(gain)
    return scaled


def _stored(values: NDArray[np.float32], dtype: str) -> bytes:
    if dtype == "F16":
        return values.astype("<f2").tobytes()
    if dtype == "BF16":
        return (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    return values.astype("<f4").tobytes()


WORDS = ("calm", "lofi", "piano", "drums", "warm", "guitar", "rain", "slow", "bpm", "in", "minor", "major", "a", "c")


def tokenizer(vocabulary: int) -> dict[str, Any]:
    """A ``tokenizer.json`` of whole words that ends each text as T5's does."""
    words = {"<pad>": 0, "</s>": 1, "<unk>": 2, **{word: 3 + place for place, word in enumerate(WORDS)}}
    end = {"id": "</s>", "ids": [1], "tokens": ["</s>"]}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {"</s>": end},
        },
        "decoder": None,
        "model": {
            "type": "WordLevel",
            "vocab": {word: number for word, number in words.items() if number < vocabulary},
            "unk_token": "<unk>",
        },
    }
