"""The loaded model: text in, codes and sound out, one step after the other.

One thread at a time. Everything is loaded once and stays, the text encoder too: a new prompt waits for nothing to be
read.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.musicgen.checkpoint import TOKENIZER
from services.generator.backends.musicgen.codec_stream import CodecStream
from services.generator.backends.musicgen.conversion import Converted
from services.generator.backends.musicgen.decoder import Decoder
from services.generator.backends.musicgen.large_pages import new_memory_on_large_pages
from services.generator.backends.musicgen.runtime import (
    Device,
    Watch,
    first_line,
    of_runtime,
    open_session,
    wants_memory,
)
from services.generator.backends.musicgen.sampling import Codes, DelayedSequence, Sampling, draw, guide
from services.generator.backends.musicgen.shape import Shape
from services.generator.backends.musicgen.text import CrossStates, encode_prompt, open_tokenizer, tokens
from shared.errors import BackendError

_PROMPTS: Final = 4
"""Prompts whose cross states are kept: a station asks for the same one again and again."""


@dataclass(frozen=True)
class Window:
    """How much the decoder looks at. Longer music is written in windows that overlap.

    A step costs more the further it lies from the beginning (see ``benchmarks/results/musicgen.md``),
    and the buffers grow with the window; prefilling the context costs a tenth of what writing it did.
    """

    seconds: float = 15.0
    context: float = 5.0


@dataclass(frozen=True)
class Work:
    """One thing to write: clips of one prompt, one per seed."""

    prompt: str
    frames: int
    seeds: Sequence[int]
    sampling: Sampling = field(default_factory=Sampling)
    known: Codes | None = None
    """Codes to grow out of [shape=(codebooks, frames)], the same for every clip."""


class Engine:
    """A converted model, loaded.

    Raises
    ------
    BackendError
        It cannot be loaded; ``BackendUnavailable`` where the device is missing.
    """

    def __init__(
        self, converted: Converted, threads: int, device: Device = "cpu", window: Window | None = None
    ) -> None:
        self.shape: Shape = converted.shape
        self._window = window or Window()
        self._tokenizer = open_tokenizer(converted.folder / TOKENIZER)
        self._heard: OrderedDict[str, CrossStates] = OrderedDict()
        with new_memory_on_large_pages():
            decoder, self._prompt, self._codes, self._sound = (
                open_session(converted.folder / f"{name}.onnx", threads, device)
                for name in ("decoder", "prompt", "codes", "sound")
            )
        self._decoder = Decoder(decoder, self.shape.decoder, device)

    @property
    def sample_rate(self) -> int:
        return self.shape.codec.sample_rate

    @property
    def channels(self) -> int:
        return self.shape.decoder.channels

    def frames(self, seconds: float) -> int:
        """Code frames that hold at least so many seconds."""
        return int(np.ceil(round(seconds * self.sample_rate) / self.shape.codec.hop))

    def cross_states(self, prompt: str, watch: Watch) -> CrossStates:
        """What the decoder attends to for a prompt; remembered for the last few."""
        if prompt in self._heard:
            self._heard.move_to_end(prompt)
            return self._heard[prompt]
        with watch.options() as options:
            states = encode_prompt(self._prompt, tokens(self._tokenizer, prompt, self.shape), self.shape, options)
        self._heard[prompt] = states
        while len(self._heard) > _PROMPTS:
            self._heard.popitem(last=False)
        return states

    def steps(self, work: Work) -> int:
        """Decoder steps that the work will take, for its progress."""
        late = max(self.shape.decoder.delays)
        return sum(frames + late for frames, _ in self._windows(work))

    def write(self, work: Work, watch: Watch, step: Callable[[], None]) -> Iterator[NDArray[np.int64]]:
        """Codes frame by frame, ``(clips, codebooks)`` each.

        Parameters
        ----------
        step : called before each decoder step; what it raises ends the work

        Raises
        ------
        BackendError
            Out of memory, or the runtime failed.
        """
        shape, clips = self.shape.decoder, len(work.seeds)
        randoms = [np.random.default_rng(seed) for seed in work.seeds]
        context = np.zeros((clips, shape.codebooks, 0), np.int64)
        if work.known is not None:
            context = np.repeat(work.known[None], clips, axis=0)
        try:
            cross = self.cross_states(work.prompt, watch)
            for frames, kept in self._windows(work):
                sequence = DelayedSequence(shape, context[:, :, context.shape[2] - kept :], frames)
                written = []
                for frame in self._write_window(sequence, cross, work, randoms, watch=watch, step=step):
                    written.append(frame)
                    yield frame
                context = np.concatenate([context, np.stack(written, axis=2)], axis=2)
        except BackendError:
            raise
        except Exception as error:
            if wants_memory(error):
                raise BackendError(
                    "The memory is not enough for this model and length: choose a smaller model or a shorter clip."
                ) from error
            if of_runtime(error):
                raise BackendError(f"ONNX Runtime failed while composing: {first_line(error)}.") from error
            raise

    def listen(self, clips: int, known: Codes | None = None) -> Ear:
        """A stream that turns the frames of ``write`` into sound, having heard what goes before."""
        rows = clips * self.channels
        skip = 0 if known is None else known.shape[1]
        stream = CodecStream(self._codes, self._sound, self.shape.codec, rows, skip)
        ear = Ear(stream, clips, self.channels)
        if known is not None:
            ear.hear(np.repeat(known[None], clips, axis=0))
        return ear

    def context(self, known: Codes) -> Codes:
        """The end of some codes, as much of it as the decoder looks at."""
        return known[:, max(0, known.shape[1] - self._limits()[1]) :]

    def close(self) -> None:
        """Give the buffers back; the sessions go with the object."""
        self._decoder.release()
        self._heard.clear()

    def _limits(self) -> tuple[int, int]:
        rate = self.shape.codec.frame_rate
        return round(self._window.seconds * rate), round(self._window.context * rate)

    def _windows(self, work: Work) -> Iterator[tuple[int, int]]:
        """New frames and context frames of each window."""
        longest, overlap = self._limits()
        before = 0 if work.known is None else work.known.shape[1]
        left = work.frames
        while left > 0:
            kept = min(before, overlap)
            frames = min(left, longest - kept)
            yield frames, kept
            left -= frames
            before += frames

    def _write_window(
        self,
        sequence: DelayedSequence,
        cross: CrossStates,
        work: Work,
        randoms: Sequence[np.random.Generator],
        *,
        watch: Watch,
        step: Callable[[], None],
    ) -> Iterator[NDArray[np.int64]]:
        clips, sampling = len(randoms), work.sampling
        self._decoder.begin(cross, clips, sequence.length, guided=sampling.guided)
        with watch.options() as options:
            logits = self._decoder.prefill(sequence.prefix, options)
        for position in range(sequence.context + 1, sequence.length):
            step()
            chances = guide(logits, sampling.guidance) if sampling.guided else logits
            drawn = [draw(each, sampling, random) for each, random in zip(chances, randoms, strict=True)]
            sequence.put(position, np.stack(drawn))
            frame = sequence.finished(position)
            if frame is not None:
                yield frame
            if position + 1 < sequence.length:
                logits = self._decoder.step(sequence.at(position))


class Ear:
    """Gathers code frames and gives sound back in blocks of ``(clips, samples, channels)``."""

    def __init__(self, stream: CodecStream, clips: int, channels: int) -> None:
        self._stream = stream
        self._clips, self._channels = clips, channels
        self._waiting: list[NDArray[np.int64]] = []

    def hear(self, codes: Codes) -> None:
        """Add codes ``(clips, codebooks, frames)``; left and right of a stereo model alternate in the codebooks."""
        clips, books, frames = codes.shape
        parted = codes.reshape(clips, books // self._channels, self._channels, frames).transpose(0, 2, 1, 3)
        self._stream.feed(parted.reshape(clips * self._channels, books // self._channels, frames))

    def add(self, frame: NDArray[np.int64], at_least: int) -> NDArray[np.float32] | None:
        """Add one frame ``(clips, codebooks)``; sound as soon as ``at_least`` frames of it are sure."""
        self._waiting.append(frame)
        if self._stream.ready + len(self._waiting) < at_least:
            return None
        self._flush()
        return self._shaped(self._stream.take())

    def finish(self) -> NDArray[np.float32]:
        """The rest."""
        self._flush()
        return self._shaped(self._stream.finish())

    def _flush(self) -> None:
        if self._waiting:
            self.hear(np.stack(self._waiting, axis=2))
            self._waiting = []

    def _shaped(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.ascontiguousarray(audio.reshape(self._clips, self._channels, -1).transpose(0, 2, 1))
