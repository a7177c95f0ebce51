"""The station's error tree. Each message is one sentence: what happened, and what to do.

::

    InfiniLoopError              anything that the station says of itself        exit code 1
    ├── UsageError               the listener asked for something that is not    exit code 2
    │   └── SettingError         a setting's name or value is refused, with its range
    ├── NoLoopError              this clip holds no loop                         exit code 3
    ├── NotRunningError          no station runs in this home                    exit code 4
    ├── AudioFileError           a file is missing, broken, too long or outside its folder
    ├── StoreError               settings, library or state cannot be read or written
    ├── ProtocolError            a message that cannot be understood
    ├── LinkError                a line to or for another machine cannot be opened
    ├── LockedError              another station already runs in this home
    ├── BackendError             a generator backend failed at a job
    │   ├── BackendUnavailable   the backend cannot run here; says what would change that
    │   ├── JobRefused           the job asks for what the backend cannot do         exit code 2
    │   └── Cancelled            the job was called back
    └── OutputError              a sound output cannot be opened or was lost
"""

from __future__ import annotations

from typing import ClassVar


class InfiniLoopError(Exception):
    """Base of every error that is shown to a listener as one sentence."""

    exit_code: ClassVar[int] = 1


class UsageError(InfiniLoopError):
    """Wrong usage: the sentence names what would have been right."""

    exit_code: ClassVar[int] = 2


class SettingError(UsageError):
    """A setting's name is unknown or its value is out of range."""


class NoLoopError(InfiniLoopError):
    """The clip has no loop that could be played without being noticed."""

    exit_code: ClassVar[int] = 3


class NotRunningError(InfiniLoopError):
    """The command needs a running station."""

    exit_code: ClassVar[int] = 4


class AudioFileError(InfiniLoopError):
    """An audio file could not be read or written."""


class UnknownAudioError(AudioFileError):
    """What a file holds is nothing that soundfile reads; another program might."""


class StoreError(InfiniLoopError):
    """Something on disk could not be read or written."""


class ProtocolError(InfiniLoopError):
    """A message of another version, shape or type than agreed."""


class LinkError(InfiniLoopError):
    """A line to another machine, or for one, could not be opened."""


class LockedError(InfiniLoopError):
    """Another station holds this home."""


class BackendError(InfiniLoopError):
    """A backend failed at a job; the job may be tried again."""


class BackendUnavailable(BackendError):
    """The backend cannot run on this machine as it is."""


class JobRefused(BackendError):
    """The job asks for something that the backend cannot do; trying again would not help."""

    exit_code: ClassVar[int] = 2


class Cancelled(BackendError):
    """The job was called back before it was done."""


class OutputError(InfiniLoopError):
    """A sound output could not be opened or was lost."""
