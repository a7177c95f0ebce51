"""The loop of a service, its restarting parent and the lifeline, with real processes and real signals."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from shared.messages import AnalyzerStatus, LoopLoaded, Status
from shared.paths import Paths
from shared.runtime.service import ServiceLoop, StatusReporter
from shared.topology import RECEIPTS

DEADLINE_S = 30.0
"""Only a hang lasts so long, on a machine that is busy with everything else too."""


def test_timers_fire_in_order_and_again(paths: Paths) -> None:
    loop = ServiceLoop(paths)
    calls: list[str] = []
    loop.after(0.02, lambda: calls.append("b"))
    loop.after(0.0, lambda: calls.append("a"))
    loop.every(0.01, lambda: loop.stop() if len(calls) > 6 else calls.append("tick"))
    loop.run()
    assert calls[0] == "a"
    assert calls.count("b") == 1
    assert calls.count("tick") >= 4


def test_messages_reach_their_handler(paths: Paths) -> None:
    loop = ServiceLoop(paths)
    got: list[object] = []
    loop.on(loop.bus.bind(RECEIPTS), lambda received: (got.append(received.message), loop.stop())[0])
    push = loop.bus.connect(RECEIPTS)
    loop.every(0.01, lambda: push.send(LoopLoaded(loop_id="l1")))
    loop.after(DEADLINE_S, loop.stop)
    loop.run()
    assert got[0] == LoopLoaded(loop_id="l1")


def test_a_loop_waits_while_nothing_is_due(paths: Paths) -> None:
    loop = ServiceLoop(paths)
    loop.every(0.05, lambda: None)
    turns, end = 0, time.monotonic() + 0.4
    while time.monotonic() < end:
        loop.turn(0.5)
        turns += 1
    loop.close()
    assert turns <= 12


def test_another_thread_wakes_the_loop(paths: Paths) -> None:
    loop = ServiceLoop(paths)
    threads: list[int] = []

    def called() -> None:
        threads.append(threading.get_ident())
        loop.stop()

    other = threading.Thread(target=lambda: loop.call_soon(called))
    loop.after(0.0, other.start)
    loop.run()
    other.join()
    assert threads == [threading.get_ident()]


def test_status_goes_out_on_change_and_every_second_at_most_twenty_times(paths: Paths) -> None:
    loop = ServiceLoop(paths)
    sent: list[Status] = []
    state = {"accepted": 0}
    StatusReporter(loop, "analyzer", sent.append, lambda: AnalyzerStatus(accepted=state["accepted"]))

    def change() -> None:
        state["accepted"] += 1

    loop.every(0.001, change)
    loop.after(0.5, loop.stop)
    began = time.monotonic()
    loop.run()
    elapsed = time.monotonic() - began
    assert 3 <= len(sent) <= elapsed * 20 + 2
    assert sent[-1].rss_bytes > 1_000_000


def test_a_status_that_follows_the_work_goes_out_on_change_and_is_not_looked_at_while_nothing_comes(
    paths: Paths,
) -> None:
    loop = ServiceLoop(paths)
    sent: list[tuple[float, Status]] = []
    accepted, looks = [0], [0]

    def state() -> AnalyzerStatus:
        looks[0] += 1
        return AnalyzerStatus(accepted=accepted[0])

    changed_at: list[float] = []

    def change() -> None:
        accepted[0] += 1
        changed_at.append(time.monotonic())

    StatusReporter(loop, "analyzer", lambda status: sent.append((time.monotonic(), status)), state, by_work=True)
    for each in range(3):
        loop.after(0.3 + 0.01 * each, change)
    loop.after(0.8, loop.stop)
    loop.run()
    told_at, last = sent[-1]
    assert last.state == AnalyzerStatus(accepted=3)
    assert told_at - changed_at[-1] < 0.4  # the loop ends soon after, and the next status is due later still
    assert looks[0] <= 5


CHILD = """
import os, sys, time
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()}\\n")
time.sleep(60)
"""


@contextlib.contextmanager
def supervised(tmp_path: Path, child: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A supervisor in a process of its own, over a child that writes its number into a file."""
    pids = tmp_path / "pids"
    pids.touch()
    script = (
        "import sys; from shared.runtime.supervisor import supervise;"
        f"sys.exit(supervise((sys.executable, '-c', {child!r}, {str(pids)!r}), 'child', stop_within_s=0.5))"
    )
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True) as parent:
        try:
            yield parent, pids
        finally:
            for pid in pids.read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            parent.kill()


def children(pids: Path, count: int) -> list[int]:
    """The numbers of the children begun so far, once there are ``count``."""
    deadline = time.monotonic() + DEADLINE_S
    while len(found := pids.read_text().split()) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} children began"
        os.sched_yield()
    return [int(pid) for pid in found]


def test_a_killed_child_is_begun_again_and_sigterm_ends_both(tmp_path: Path) -> None:
    with supervised(tmp_path, CHILD) as (parent, pids):
        (first,) = children(pids, 1)
        os.kill(first, signal.SIGKILL)
        second = children(pids, 2)[1]
        parent.terminate()
        assert parent.wait(DEADLINE_S) == 0
        assert not psutil.pid_exists(second)
        assert parent.stderr is not None
        assert "signal 9" in parent.stderr.read()


def test_a_child_that_will_not_end_is_killed_in_time(tmp_path: Path) -> None:
    with supervised(tmp_path, "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + CHILD) as (parent, pids):
        (child,) = children(pids, 1)
        began = time.monotonic()
        parent.terminate()
        parent.wait(DEADLINE_S)
        assert 0.4 < time.monotonic() - began < 3.0
        assert not psutil.pid_exists(child)


@pytest.mark.parametrize(("code", "reported"), [(2, 2), (75, 1)])
def test_wrong_usage_and_a_second_station_are_not_tried_again(tmp_path: Path, code: int, reported: int) -> None:
    with supervised(tmp_path, f"import sys; open(sys.argv[1], 'a').write('1\\n'); sys.exit({code})") as (parent, pids):
        assert parent.wait(DEADLINE_S) == reported
        assert pids.read_text() == "1\n"
        pids.write_text("")


def test_no_process_outlives_the_one_that_began_it(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    pids.touch()
    child = "import os, signal; from shared.runtime.lifeline import end_with_parent;"
    child += "end_with_parent(os.getppid(), signal.SIGKILL)" + CHILD
    script = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}, {str(pids)!r}]).wait()"
    with subprocess.Popen([sys.executable, "-c", script]) as parent:
        (begun,) = children(pids, 1)
        parent.kill()
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(begun).wait(DEADLINE_S)
    assert not psutil.pid_exists(begun)


def test_a_killed_honcho_leaves_nothing_behind(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    pids.touch()
    script = tmp_path / "supervised.py"
    script.write_text(
        "import os, sys; from shared.runtime.supervisor import supervise\n"
        f"open({str(pids)!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
        f"sys.exit(supervise((sys.executable, '-c', {CHILD!r}, {str(pids)!r}), 'child', stop_within_s=0.5))\n"
    )
    procfile = tmp_path / "Procfile"
    procfile.write_text(f"one: exec {sys.executable} {script}\n")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "honcho", "-f", str(procfile), "start", "--no-prefix"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as honcho:
        begun = [psutil.Process(pid) for pid in children(pids, 2)]
        begun += [each for each in psutil.Process(honcho.pid).children(recursive=True) if each not in begun]
        honcho.kill()
        honcho.wait(DEADLINE_S)
    left = psutil.wait_procs(begun, timeout=DEADLINE_S)[1]
    for each in left:
        each.kill()
    assert [each for each in left if each.status() != psutil.STATUS_ZOMBIE] == []
