"""Every message that travels between the processes, and the two functions that turn one into bytes and back.

A message is a frozen, tagged, validated struct. On the wire it is msgpack: ``[PROTOCOL, message]``; audio rides in a
frame of its own beside it (see ``shared.bus``). Unknown fields are ignored, so that an older part understands a newer
one; a wrong type, a missing field or another protocol number is a ``ProtocolError``.

==============================  ====================================================
direction                       messages
==============================  ====================================================
controller → generator          Job, Cancel, Heartbeat
generator → controller          Ready, Progress, Done, Failed, Heartbeat
generator → analyzer            Clip
controller → analyzer           Prepare
analyzer → player               LoopReady, TransitionReady
controller → player             Wanted
analyzer, player → controller   ClipAccepted, ClipRejected, TransitionFailed,
                                LoopLoaded, LoopRefused, PlayerHello
every service → everyone        Status
anyone → controller             Command
controller → its asker          Answer
==============================  ====================================================
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from shared.errors import ProtocolError
from shared.music import Count, Frame, Identifier, Loop, Recipe, Tempo, Transition, Truth, Unit

PROTOCOL: Final = 1
PROMPT_LIMIT: Final = 2_000
"""Characters; a longer prompt is refused where the listener gives it."""

Text = Annotated[str, Meta(max_length=4_000)]
Prompt = Annotated[str, Meta(min_length=1, max_length=PROMPT_LIMIT)]
Kind: TypeAlias = Literal["clip", "continuation", "stream"]
Insisted: TypeAlias = Literal["tempo", "key"]


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    """Base of all messages; the tag is the class's name."""


# -- jobs -------------------------------------------------------------------------------------------------------------


class Capabilities(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one backend on one worker can do, and whether it can do it now."""

    backend: str
    available: bool
    reason: str = ""
    """Why not, and what would change it."""
    kinds: tuple[Kind, ...] = ("clip",)
    models: tuple[str, ...] = ()
    sample_rate: Count = 48_000
    channels: Count = 2
    min_seconds: float = 1.0
    max_seconds: float = 30.0
    tempo_control: bool = False
    """An asked tempo counts: to the letter where loops are exact, else as a wish, and the analyzer measures."""
    key_control: bool = False
    seed_control: bool = False
    exact_loops: bool = False
    score: bool = False
    """It writes its music down: there is a score, and each part can be had by itself."""
    weak_words: tuple[str, ...] = ()
    """Words for styles in which it does poorly on this machine, as a composer without sampled instruments may."""
    batch: Count = 1
    """Clips of one prompt that it makes at once in far less time than one by one."""
    code_licence: str = "MIT"
    weights_licence: str | None = None
    memory_mb: float | None = None
    real_time_factor: float | None = None
    """Seconds of music made in a second, as measured on this worker."""


class Job(Message, frozen=True, kw_only=True):
    """One clip to be made. ``token`` names this delivery: a job that is sent again carries a new one."""

    job_id: Identifier
    token: Identifier
    epoch: Frame
    prompt: Prompt
    backend: str = "auto"
    model: str | None = None
    device: str = "auto"
    seconds: Annotated[float, Meta(gt=0.0, le=600.0)] | None = None
    bars: Annotated[int, Meta(ge=1, le=256)] | None = None
    bpm: Tempo | None = None
    key: str | None = None
    meter: str | None = None
    insists: tuple[Insisted, ...] = ()
    """What of tempo and key the listener has named: a clip that clearly has another is refused, not taken as it is."""
    seed: int | None = None
    parent_clip: Identifier | None = None
    splice_s: float | None = None
    """Continue ``parent_clip`` from this second of it."""
    splice_frame: Frame | None = None
    """Continue ``parent_clip`` from this frame of the loop that was made of it, where ``splice_s`` is not given."""
    parent_recipe: Recipe | None = None
    """How ``parent_clip`` was made: a backend that composes goes on from its theme."""
    piece: bool = False
    """Wanted as a song of related sections, where the backend can; otherwise one loop."""
    bridge: bool = False
    remade: bool = False
    """The recipe of an earlier loop, to be made by its own backend exactly as put here."""
    midi: bool = False
    """The score is wanted too, where the backend has one."""
    min_loop: Text = "auto"
    """The listener's wish for the analyzer: ``auto``, bars as ``8bars``, or seconds as ``6.5``."""


class Cancel(Message, frozen=True, kw_only=True):
    """Give this job up; the worker answers with ``Failed(retry=False)``."""

    job_id: Identifier
    reason: Text = ""


class Heartbeat(Message, frozen=True, kw_only=True):
    """Nothing but a sign of life, once a second; any message counts as one."""


class Ready(Message, frozen=True, kw_only=True):
    """A worker asks for one job: its credit. ``holding`` names the job it still works at, if any."""

    worker: Identifier
    capabilities: tuple[Capabilities, ...]
    holding: Identifier | None = None
    host: str = ""
    pid: int = 0


class Progress(Message, frozen=True, kw_only=True):
    job_id: Identifier
    token: Identifier
    fraction: Unit
    stage: Text = ""
    """What is being done, in words: "composing", "downloading the model" …"""
    eta_s: float | None = None


class Done(Message, frozen=True, kw_only=True):
    """The clip was sent to the analyzer. The lease ends only with the analyzer's receipt."""

    job_id: Identifier
    token: Identifier
    backend: str
    model: str | None = None
    seconds: float
    """Length of the clip."""
    generation_s: float
    download_s: float = 0.0
    cpu_s: float = 0.0
    """Seconds of processor that it took on the worker's machine, all cores together; 0 if nobody knows."""


class Failed(Message, frozen=True, kw_only=True):
    job_id: Identifier
    token: Identifier
    reason: Text
    retry: bool = True
    backend: str = ""


# -- clips, loops, transitions ----------------------------------------------------------------------------------------


class Clip(Message, frozen=True, kw_only=True):
    """A clip to be analysed: a path under the cache, or, from another machine, FLAC in the second frame."""

    job_id: Identifier
    token: Identifier
    epoch: Frame
    recipe: Recipe
    path: str | None = None
    sample_rate: Count
    frames: Count
    channels: Count
    truth: Truth | None = None
    asked_bpm: Tempo | None = None
    asked_key: str | None = None
    insists: tuple[Insisted, ...] = ()
    """A clip that clearly has another tempo or key than this is refused; else it is taken as it is."""
    bridge: bool = False
    codes_path: str | None = None
    """Under the cache; the model's codes, so that a later clip can continue this one."""
    min_loop: Text = "auto"


class Prepare(Message, frozen=True, kw_only=True):
    """Render the change from ``first`` to ``second`` ahead of time."""

    first: Loop
    second: Loop
    style: Literal["smart", "blend", "fade", "cut"] = "smart"
    exit_after: Frame = 0
    """The earliest frame of ``first`` at which it may be left."""


class LoopReady(Message, frozen=True, kw_only=True):
    loop: Loop


class TransitionReady(Message, frozen=True, kw_only=True):
    transition: Transition


class Wanted(Message, frozen=True, kw_only=True):
    """The state that the listener and the station want, whole and numbered; sending it twice changes nothing."""

    number: Frame
    playing: bool
    stopped: bool = False
    """Silent by ``stop`` rather than by ``pause``: fades out over seconds and survives a restart."""
    volume: Annotated[int, Meta(ge=0, le=100)] = 70
    queue: Annotated[tuple[Loop, ...], Meta(max_length=64)] = ()
    """What sounds now or next, first to last."""
    unwanted: Annotated[tuple[Identifier, ...], Meta(max_length=64)] = ()
    """Loops that the player may hold and that must not sound again: the listener dislikes them."""
    skips: Frame = 0
    """How often ``skip`` was said since the station began; the player compares it with what it has done."""
    backs: Frame = 0
    hold: bool = False
    transition: Literal["smart", "blend", "fade", "cut", "off"] = "smart"
    variation: Literal["off", "light", "full"] = "light"
    min_duration_s: Annotated[float, Meta(ge=1.0, le=3600.0)] = 120.0
    once: bool = False
    """Each loop is a stretch of a stream: played through once, whatever ``min_duration_s`` says, then left."""
    driver: str = "auto"
    output_device: str = ""
    epoch: Frame = 0
    fade_out_s: float | None = None
    """The sleep timer: silence this many seconds after this message, faded over the last of them."""


# -- receipts ---------------------------------------------------------------------------------------------------------


class ClipAccepted(Message, frozen=True, kw_only=True):
    job_id: Identifier
    token: Identifier
    loop: Loop
    analysis_s: float = 0.0


class ClipRejected(Message, frozen=True, kw_only=True):
    job_id: Identifier
    token: Identifier
    epoch: Frame
    reason: Text
    code: Identifier
    """The kind of rejection, such as ``silence`` or ``no-loop``: statistics count by it."""
    figures: dict[str, float] = {}
    analysis_s: float = 0.0
    damaged: bool = False
    """The file could not be read: the clip, not the music, is at fault, and is sent or made again."""


class TransitionFailed(Message, frozen=True, kw_only=True):
    from_loop: Identifier
    to_loop: Identifier
    reason: Text


class LoopLoaded(Message, frozen=True, kw_only=True):
    loop_id: Identifier


class LoopRefused(Message, frozen=True, kw_only=True):
    loop_id: Identifier
    reason: Text


class PlayerHello(Message, frozen=True, kw_only=True):
    """What the player holds and what sounds, when it starts and whenever the controller comes back."""

    wanted_number: Frame = 0
    loop_id: Identifier | None = None
    frame: Frame = 0
    held: tuple[Identifier, ...] = ()
    skips_done: Frame = 0
    backs_done: Frame = 0
    pid: int = 0


# -- status -----------------------------------------------------------------------------------------------------------


class GeneratorStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    worker: str = ""
    backends: tuple[Capabilities, ...] = ()
    chosen: str = ""
    """The backend that ``auto`` means here."""
    chosen_reason: Text = ""
    job_id: str | None = None
    prompt: str = ""
    backend: str = ""
    fraction: float = 0.0
    stage: Text = ""
    eta_s: float | None = None
    made: int = 0
    failed: int = 0
    last_error: Text = ""


class SecondOpinion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an independent analysis, made when there was nothing else to do, says of a loop that was found."""

    loop_id: Identifier
    bpm: Tempo | None = None
    same_tempo: bool | None = None
    """Whether both tempi are one, counted in the same, half, double or dotted beats; none where one is unknown."""
    key: str | None = None
    same_key: bool | None = None
    """Whether both keys share all but at most one note."""
    tuning_cents: float = 0.0
    brightness_hz: float = 0.0
    percussive_share: float = 0.0


class AnalyzerStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    job_id: str | None = None
    accepted: int = 0
    rejected: int = 0
    last_rejection: Text = ""
    last_analysis_s: float | None = None
    opinion: SecondOpinion | None = None
    """On the last loop that was found in a clip."""


class PlayerStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    playing: bool = False
    volume: int = 70
    loop_id: str | None = None
    loop: Loop | None = None
    next_loop_id: str | None = None
    frame: int = 0
    """Position in the loop's file."""
    section: str = ""
    pass_number: int = 0
    song_frames: int = 0
    """Frames of this song that have sounded."""
    song_length_frames: int = 0
    blocks: int = 0
    """Blocks of the PCM tap since the player began."""
    driver: str = ""
    output: Text = ""
    """The output that was chosen, why, and how to get another."""
    output_ok: bool = True
    latency_s: float = 0.0
    underruns: int = 0
    worst_lateness_s: float = 0.0
    cpu_percent: float = 0.0
    held: tuple[str, ...] = ()
    skips_done: int = 0
    backs_done: int = 0
    wanted_number: int = 0
    loops_played: int = 0
    transition: Text = ""
    """The change that comes or is under way: kind and why."""
    leave_frame: int | None = None
    """Where in the loop's file this song will have lasted its time: no change rendered ahead leaves before it."""
    recording: Text = ""
    """The recording under way, or what became of it."""
    note: Text = ""
    """What the listener should know and the player cannot mend."""


class ControllerStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    prompt: str = ""
    epoch: int = 0
    playing: bool = True
    stopped: bool = False
    hold: bool = False
    volume: int = 70
    queue: tuple[str, ...] = ()
    titles: dict[str, str] = {}
    waiting: Text = ""
    """What is being waited for and why, or why nothing is made."""
    mode: str = "restful"
    bridge: str = ""
    """While a bridge sounds, what it stands in for: "bridge, MusicGen in about 20 s"."""
    sleep_s: int | None = None
    """Seconds until the sleep timer's silence."""
    leases: int = 0
    jobs_sent: int = 0
    """Always the sum of ``leases``, ``accepted``, ``rejected`` and ``lost``."""
    accepted: int = 0
    rejected: int = 0
    lost: int = 0
    """No receipt after several deliveries."""
    cancelled: int = 0
    """Called back, and no longer among ``jobs_sent``."""
    failed: int = 0
    """Given up after the backend had failed at it several times, and no longer among ``jobs_sent``."""
    redelivered: int = 0
    library_loops: int = 0
    library_bytes: int = 0
    cache_bytes: int = 0
    disk_free_bytes: int = 0
    machine_load: float = 0.0
    restarts: dict[str, int] = {}
    note: Text = ""
    """What the listener should know and the station cannot mend, such as a settings file that was set aside."""


class DashboardStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    url: str = ""
    port: int = 0
    note: Text = ""
    listeners: int = 0
    """Clients that hear the live stream now."""


ServiceState: TypeAlias = GeneratorStatus | AnalyzerStatus | PlayerStatus | ControllerStatus | DashboardStatus


class Status(Message, frozen=True, kw_only=True):
    """A service's whole small state: on change at most 20 times a second, and once a second."""

    service: Identifier
    pid: int
    uptime_s: float
    rss_bytes: int = 0
    state: ServiceState


# -- commands ---------------------------------------------------------------------------------------------------------


class Command(Message, frozen=True, kw_only=True):
    """What a listener asks of the station; ``arguments`` are checked by the command itself."""

    command_id: Identifier
    name: Identifier
    arguments: dict[str, Any] = {}


class Answer(Message, frozen=True, kw_only=True):
    command_id: Identifier
    ok: bool
    text: str = ""
    """One sentence for a person: what was done, or what went wrong and what to do."""
    exit_code: int = 0
    data: dict[str, Any] = {}


AnyMessage: TypeAlias = (
    Job
    | Cancel
    | Heartbeat
    | Ready
    | Progress
    | Done
    | Failed
    | Clip
    | Prepare
    | LoopReady
    | TransitionReady
    | Wanted
    | ClipAccepted
    | ClipRejected
    | TransitionFailed
    | LoopLoaded
    | LoopRefused
    | PlayerHello
    | Status
    | Command
    | Answer
)

_encoder = msgspec.msgpack.Encoder()
_envelope = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw])
_decoder: msgspec.msgpack.Decoder[AnyMessage] = msgspec.msgpack.Decoder(AnyMessage)


def encode(message: AnyMessage) -> bytes:
    """The bytes of one message, with the protocol's number before it."""
    return _encoder.encode((PROTOCOL, message))


def decode(data: bytes | memoryview) -> AnyMessage:
    """The message in these bytes.

    Raises
    ------
    ProtocolError
        Not a message, of another protocol, or a field of the wrong type; the sentence names the field.
    """
    try:
        number, body = _envelope.decode(data)
        if number == PROTOCOL:
            return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"A message could not be understood: {error}.") from error
    raise ProtocolError(f"A message of protocol {number} came where {PROTOCOL} is spoken: update the older part.")
