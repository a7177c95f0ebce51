"""Any audio file there is: what soundfile reads, and where ffmpeg is installed, what that reads."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from shared.audio_files import MAX_SECONDS, from_bytes, read_audio
from shared.errors import AudioFileError, UnknownAudioError
from shared.units import Audio

FFMPEG_WITHIN_S: Final = 120


def read_any(path: Path) -> tuple[Audio, int]:
    """Read an audio file of up to ten minutes.

    Returns
    -------
    samples : float32 [shape=(frames, channels)]
    sample_rate : int, hertz

    Raises
    ------
    AudioFileError
        Missing, not audio, empty, too long, cut off, or holding values that are not numbers.
    """
    try:
        return read_audio(path)
    except UnknownAudioError as error:
        import shutil

        ffmpeg = shutil.which("ffmpeg")
        if ffmpeg is None:
            raise AudioFileError(f"{error} If it is audio, install ffmpeg, or convert it to WAV or FLAC.") from error
        decoded = _decode(ffmpeg, path)
        if decoded is None:
            raise
        return decoded


def _decode(ffmpeg: str, path: Path) -> tuple[Audio, int] | None:
    """What ffmpeg makes of a file that soundfile does not know, or nothing."""
    import subprocess

    limit = f"{MAX_SECONDS + 1:g}"
    # The name is passed as a file, never as a protocol: nothing is fetched.
    command = [ffmpeg, "-v", "error", "-nostdin", "-protocol_whitelist", "file,pipe", "-i", f"file:{path}"]
    command += ["-map", "0:a:0", "-t", limit, "-f", "au", "-c:a", "pcm_f32be", "pipe:1"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=FFMPEG_WITHIN_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0 or not done.stdout:
        return None
    return from_bytes(done.stdout, name=str(path))
