"""ONNX Runtime as the engine uses it: threads, sessions, and runs that can be broken off."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

from shared.errors import BackendError, BackendUnavailable, Cancelled

Device = Literal["cpu", "cuda"]
_POLL_S: Final = 0.02


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_threads(available: int) -> int:
    """Threads for generation: eight use up the memory's bandwidth; from three cores on, one is left free."""
    return available if available <= 2 else min(8, available - 1)


def open_session(path: Path, threads: int, device: Device = "cpu") -> Any:
    """An ONNX Runtime session for one graph.

    Raises
    ------
    BackendUnavailable
        The device is not there.
    BackendError
        The graph cannot be loaded.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Workers spin while a graph runs, for its operators are short, and sleep in between: the cores are not ours alone.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    providers = ["CPUExecutionProvider"]
    if device == "cuda":
        if "CUDAExecutionProvider" not in ort.get_available_providers():
            raise BackendUnavailable(
                "ONNX Runtime has no CUDA here: `pip install 'infiniloop[musicgen-cuda]'`, or set device to cpu."
            )
        providers.insert(0, "CUDAExecutionProvider")
    try:
        return ort.InferenceSession(str(path), options, providers=providers)
    except Exception as error:
        model = path.parent.parent.name
        if wants_memory(error):
            raise BackendError(f"The memory is not enough to load {model}: choose a smaller model.") from error
        raise BackendError(
            f"The converted model {model} cannot be loaded ({first_line(error)}): delete it with "
            f"`infiniloop models delete {model}` and it is made anew."
        ) from error


def of_runtime(error: Exception) -> bool:
    """Whether a failure is ONNX Runtime's: it has errors of its own and raises ``RuntimeError`` for the rest."""
    return isinstance(error, RuntimeError) or type(error).__module__.startswith("onnxruntime")


def wants_memory(error: Exception) -> bool:
    """Whether a failure of ONNX Runtime's was for want of memory, which it tells in several ways."""
    words = str(error).lower()
    return isinstance(error, MemoryError) or any(each in words for each in ("alloc", "bfc_arena", "out of memory"))


class Watch:
    """Breaks off a long run within 20 ms of being asked to: onnxruntime looks at its options between operators."""

    def __init__(self, cancelled: Callable[[], bool]) -> None:
        self._cancelled = cancelled

    @contextlib.contextmanager
    def options(self) -> Iterator[Any]:
        """Run options that end the run when the job is called back; raises ``Cancelled`` then."""
        import onnxruntime as ort

        options = ort.RunOptions()
        done = threading.Event()

        def look() -> None:
            while not done.wait(_POLL_S):
                if self._cancelled():
                    options.terminate = True
                    return

        thread = threading.Thread(target=look, name="musicgen-watch", daemon=True)
        thread.start()
        try:
            yield options
        except Exception as error:
            if self._cancelled():
                raise Cancelled("The job was called back.") from error
            raise
        finally:
            done.set()
            thread.join()


def first_line(error: BaseException) -> str:
    """What ONNX Runtime says first, for a sentence around it."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200].rstrip(".")
