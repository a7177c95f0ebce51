"""Through PortAudio into PulseAudio and JACK: what is recorded is the offline render, frame by frame."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from services.player.engine import Engine
from services.player.outputs.device import DeviceOutput, devices
from services.player.store import LoadedLoop
from shared.errors import OutputError
from shared.messages import Wanted, encode
from shared.music import Jump, Loop
from shared.units import STATION_RATE, TAP_BLOCK, Audio
from tests.pipeline.test_player import Station
from tests.realtime.jack import Jack
from tests.realtime.pulse import Pulse, Recorder, find
from tests.unit.player.material import at_once, loaded, loop, noise, render, sections, wanted, written

pytestmark = [pytest.mark.pulse, pytest.mark.timeout(180)]
BAR = STATION_RATE // 2


@pytest.fixture
def station(tmp_path: Path, pulse: Pulse) -> Iterator[Station]:
    made = Station(tmp_path / "home")
    yield made
    made.close()


def _material(station: Station) -> tuple[list[LoadedLoop], tuple[Loop, ...]]:
    """Four loops with every kind of seam, and their records with files: wraps and moves, a jump, sections, no grid."""
    records = [
        loop("plain", 8 * BAR, bars=8),
        loop("jumpy", 8 * BAR, bars=8, jumps=(Jump(source=6 * BAR, target=2 * BAR, crossfade=720),)),
        loop("piece", 12 * BAR + 3, bars=12, sections=sections("A", "A'", "B", frames=4 * BAR + 1)),
        loop("free", 3 * STATION_RATE + 17, bars=None),
    ]
    held = [loaded(record, number) for number, record in enumerate(records)]
    queue = tuple(
        written(station.paths.loops, record, noise(record.frames, number)) for number, record in enumerate(records)
    )
    return held, queue


def _reference(held: list[LoadedLoop], state: Wanted, frames: int) -> Audio:
    engine = Engine(held[0], state, at_once)
    for other in held[1:]:
        engine.add(other)
    return render(engine, frames)[1]


def _offset(recorded: Audio, reference: Audio) -> tuple[int, int]:
    """A frame of the recording and the frame of the reference that sounds there, past the fade-in."""
    audible = np.flatnonzero(np.abs(recorded).max(axis=1) > 0.02)
    assert len(audible), "nothing was recorded"
    at = int(audible[0]) + 4 * STATION_RATE
    return at, find(reference, recorded[at : at + 64])


def _breaks(recorded: Audio, reference: Audio) -> int:
    """Frames from 4 s after the first sound to the recording's end that are not the reference's."""
    at, same = _offset(recorded, reference)
    assert same >= 0, "what was recorded is not in the render"
    heard = recorded[at:]
    return int((heard != reference[same : same + len(heard)]).any(axis=1).sum())


def test_seams_moves_jumps_and_changes_come_out_bit_for_bit(station: Station, pulse: Pulse) -> None:
    held, queue = _material(station)
    state = wanted(1, queue=queue, min_duration_s=7.0)
    station.paths.wanted_file.write_bytes(encode(state))
    recorder = Recorder(pulse)
    station.start(INFINILOOP_PLAYER_DRIVER="pulse")
    station.until(lambda: station.statuses and station.statuses[-1].driver == "pulse", "the sound device")
    recorder.read(50 * STATION_RATE)
    station.turn()
    recorder.stop()
    assert _breaks(recorder.sound(), _reference(held, state, 70 * STATION_RATE)) == 0
    last = station.statuses[-1]
    assert last.latency_s <= 0.2 or last.underruns > 0  # it grows by what the machine did in the first seconds
    assert last.loops_played >= 5


def test_a_pause_acts_within_the_latency_and_50_ms(station: Station, pulse: Pulse) -> None:
    _, queue = _material(station)
    station.paths.wanted_file.write_bytes(encode(wanted(1, queue=queue)))
    station.start(INFINILOOP_PLAYER_DRIVER="pulse")
    station.until(lambda: station.statuses and station.statuses[-1].driver == "pulse", "the sound device")
    recorder = Recorder(pulse)  # now, so that what it has read is never far behind what sounds
    recorder.read(4 * STATION_RATE)
    said = len(recorder.sound())
    station.send(wanted(2, queue=queue, playing=False))
    sound = recorder.read(2 * STATION_RATE)
    recorder.stop()
    silent_from = int(np.flatnonzero(np.abs(sound).max(axis=1) > 1e-4)[-1]) + 1
    # The recorder is 50 ms behind and reads in pieces of up to 50 ms.
    assert (silent_from - said) / STATION_RATE <= station.statuses[-1].latency_s + 0.05 + 0.1


def test_a_device_that_is_lost_is_found_again_and_nobody_notices(station: Station, pulse: Pulse) -> None:
    _, queue = _material(station)
    station.paths.wanted_file.write_bytes(encode(wanted(1, queue=queue, min_duration_s=300.0)))
    station.start(INFINILOOP_PLAYER_DRIVER="auto")
    station.until(lambda: station.statuses and station.statuses[-1].driver == "pulse", "the sound device")
    pulse.kill()
    station.until(lambda: not station.statuses[-1].output_ok, "the loss")
    assert "live stream only" in station.statuses[-1].output
    seen = len(station.blocks)
    station.until(lambda: len(station.blocks) > seen + 250, "the tap for five seconds without a device")
    pulse.start()
    back = time.monotonic()
    station.until(lambda: station.statuses[-1].output_ok and station.statuses[-1].driver == "pulse", "the device again")
    assert time.monotonic() - back < 2.0
    assert len(station.blocks) * TAP_BLOCK / STATION_RATE == pytest.approx(
        station.statuses[-1].song_frames / STATION_RATE, abs=1.5
    )  # it went on at the pace of the clock meanwhile, and is where it would have been
    recorder = Recorder(pulse)
    sound = recorder.read(2 * STATION_RATE)
    recorder.stop()
    assert np.abs(sound[-STATION_RATE:]).max() > 0.05
    numbers = [number for number, _ in station.blocks]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_sound_server_that_stood_still_is_given_more_to_wait_with(station: Station, pulse: Pulse) -> None:
    _, queue = _material(station)
    station.paths.wanted_file.write_bytes(encode(wanted(1, queue=queue, min_duration_s=300.0)))
    station.start()
    station.until(lambda: station.statuses and station.statuses[-1].driver == "pulse", "the sound device")
    station.until(lambda: len(station.blocks) > 250, "five seconds of sound")  # a null sink takes two to begin
    before = station.statuses[-1]
    thawed = time.monotonic() + 1.0 + before.latency_s
    pulse.freeze()
    station.until(lambda: time.monotonic() > thawed, "a second in which nothing is taken")
    pulse.freeze(thaw=True)
    station.until(lambda: station.statuses[-1].underruns > before.underruns, "the break to be counted")
    station.until(lambda: station.statuses[-1].latency_s > 1.5 * before.latency_s, "the greater latency")
    assert station.statuses[-1].driver == "pulse"


def test_a_device_that_comes_later_is_taken_up(station: Station, pulse: Pulse) -> None:
    pulse.kill()
    _, queue = _material(station)
    station.paths.wanted_file.write_bytes(encode(wanted(1, queue=queue)))
    station.start(INFINILOOP_PLAYER_DRIVER="auto")
    station.until(lambda: station.statuses and not station.statuses[-1].output_ok, "the sentence")
    assert "live stream only" in station.statuses[-1].output
    pulse.start()
    station.until(lambda: station.statuses[-1].driver == "pulse", "the device")


def test_the_driver_can_be_changed_while_it_plays(station: Station, pulse: Pulse) -> None:
    _, queue = _material(station)
    state = wanted(1, queue=queue)
    station.paths.wanted_file.write_bytes(encode(state))
    station.start(INFINILOOP_PLAYER_DRIVER="auto")
    station.until(lambda: station.statuses and station.statuses[-1].driver == "pulse", "the sound device")
    station.send(wanted(2, queue=queue, driver="null"))
    station.until(lambda: station.statuses[-1].driver == "null", "the null output")
    station.send(wanted(3, queue=queue, driver="alsa"))
    station.until(lambda: station.statuses[-1].driver == "alsa", "ALSA's default")
    station.send(wanted(4, queue=queue, driver="jack"))
    station.until(lambda: "through jack" in station.statuses[-1].output, "the refusal")
    station.send(wanted(5, queue=queue, driver="auto"))
    station.until(lambda: station.statuses[-1].driver == "pulse", "the sound device again")
    numbers = [number for number, _ in station.blocks]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_the_station_is_shown_by_its_name(pulse: Pulse) -> None:
    output = DeviceOutput("pulse")
    for _ in range(20):
        output.write(noise(TAP_BLOCK))
    shown = pulse.control("list", "sink-inputs").stdout
    output.close()
    for words in ('application.name = "INFINI LOOP"', 'media.role = "music"', "application.icon_name"):
        assert words in shown


def test_the_device_keeps_the_contract_of_outputs(pulse: Pulse) -> None:
    output = DeviceOutput("pulse", latency_s=0.12)
    assert output.driver == "pulse"
    assert 0.0 < output.latency_s < 0.3
    for frames in (TAP_BLOCK, 1, 480, 2_048):
        block = noise(frames)
        before = block.copy()
        output.write(block)
        assert np.array_equal(block, before)
    output.close()
    output.close()
    with pytest.raises(OutputError, match=r"closed\.$"):
        output.write(noise(TAP_BLOCK))


def test_a_jack_server_hears_it_bit_for_bit_and_its_end_is_survived(jack: Jack, station: Station) -> None:
    held, queue = _material(station)
    state = wanted(1, queue=queue, min_duration_s=7.0, driver="jack")
    station.paths.wanted_file.write_bytes(encode(state))
    station.start()
    station.until(lambda: station.statuses and station.statuses[-1].driver == "jack", "the sound device")
    recorded, reference = jack.record(12), _reference(held, state, 70 * STATION_RATE)
    at, same = _offset(recorded, reference)
    heard = recorded[at:]
    # The recorder writes whole numbers of 32 bits, and a fade has finer ones.
    assert np.abs(heard - reference[same : same + len(heard)]).max() <= 2.0**-31
    station.until(lambda: station.statuses[-1].song_frames > 0, "the status")
    assert station.statuses[-1].latency_s <= 0.2 or station.statuses[-1].underruns > 0
    assert station.player is not None
    jack.kill()
    assert station.player.wait(10) == 1  # its supervisor begins it again
    station.statuses.clear()
    station.start()
    station.until(lambda: station.statuses and not station.statuses[-1].output_ok, "the sentence")
    jack.start()
    station.until(lambda: station.statuses[-1].driver == "jack", "the device again")
    assert np.abs(jack.record(3)).max() > 0.05


def test_the_codecs_of_an_encoder_that_nobody_asked_for_are_not_loaded(station: Station, pulse: Pulse) -> None:
    _, queue = _material(station)
    station.paths.wanted_file.write_bytes(encode(wanted(1, queue=queue)))
    station.start(INFINILOOP_PLAYER_DRIVER="auto")
    station.until(lambda: station.statuses and station.statuses[-1].driver == "pulse", "the sound device")
    assert station.player is not None
    loaded_libraries = Path(f"/proc/{station.player.pid}/maps").read_text()
    assert "libasound_module_pcm_pulse" in loaded_libraries
    assert "libavcodec" not in loaded_libraries


def test_devices_are_listed_and_chosen_by_name(pulse: Pulse) -> None:
    names = {found.name: found for found in devices(fresh=True)}
    assert names["pulse"].driver == "pulse"
    assert names["default"].driver == "alsa"
    chosen = DeviceOutput("auto", "defau")
    assert chosen.description.startswith("default")
    chosen.close()
    for driver, device in (("auto", "no such device"), ("dsp", ""), ("jack", "")):
        with pytest.raises(OutputError, match=r"not found or does not open.*\.$"):
            DeviceOutput(driver, device)


def test_without_portaudio_the_sentence_says_how_to_get_it() -> None:
    check = (
        "import ctypes.util, sys; ctypes.util.find_library = lambda name: None; "
        "from services.player.outputs.device import devices; "
        "from shared.errors import OutputError\n"
        "try: devices()\nexcept OutputError as error: sys.exit(str(error))"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == (
        "PortAudio is not installed, so no sound device can be used: sudo apt install libportaudio2."
    )


def test_unplugged_it_pauses_and_moved_by_hand_it_plays_on(station: Station, pulse: Pulse) -> None:
    pulse.kill()
    pulse.start(("headphones", "speaker"))
    _, queue = _material(station)
    station.paths.wanted_file.write_bytes(encode(wanted(1, queue=queue)))
    station.start(INFINILOOP_PLAYER_DRIVER="pulse")
    station.until(lambda: station.statuses and station.statuses[-1].driver == "pulse", "the sound device")
    station.until(lambda: pulse.control("list", "short", "clients").stdout.count("pactl") > 1, "the watch")
    stream = pulse.control("list", "short", "sink-inputs").stdout.split()[0]
    pulse.control("move-sink-input", stream, "speaker")
    pulse.control("move-sink-input", stream, "headphones")
    seen = len(station.blocks)
    station.until(lambda: len(station.blocks) > seen + 30, "sound after the move")
    assert station.statuses[-1].playing
    modules = pulse.control("list", "short", "modules").stdout.splitlines()
    sink = next(line.split()[0] for line in modules if "sink_name=headphones" in line)
    pulse.control("unload-module", sink)
    gone = time.monotonic()
    station.until(lambda: not station.statuses[-1].playing, "the pause")
    assert time.monotonic() - gone < 0.5
    assert "unplugged" in station.statuses[-1].output
    station.send(wanted(2, queue=queue, volume=50))
    station.until(lambda: station.statuses[-1].volume == 50, "a wish from before the pause was heard of")
    assert not station.statuses[-1].playing
