"""Without a system bus the player plays, and its log says in words what is missing."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest
from jeepney import DBusAddress, DBusErrorResponse, HeaderFields, new_error, new_method_call

from services.player.priority import ask_rtkit
from services.player.sleeping import SleepWatch
from services.player.system_bus import why_not


@pytest.fixture(autouse=True)
def no_bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'none'}")
    caplog.set_level(logging.INFO)


def test_nobody_gives_priority(caplog: pytest.LogCaptureFixture) -> None:
    assert not ask_rtkit()
    assert caplog.messages == [
        "Nobody gives the player a higher priority (this machine has no system bus); it holds without."
    ]


def test_nobody_tells_of_sleep(caplog: pytest.LogCaptureFixture) -> None:
    watch = SleepWatch(lambda _: None, lambda: None)
    watch.start()
    end = time.monotonic() + 30.0
    while not caplog.messages:
        assert time.monotonic() < end
    watch.stop()
    assert caplog.messages == ["The machine's sleep is seen by the clocks alone (this machine has no system bus)."]


def refused() -> DBusErrorResponse:
    """What a bus answers that knows of no such service."""
    asked = new_method_call(DBusAddress("/a", "org.a", "org.a"), "Do")
    asked.header.fields[HeaderFields.sender] = ":1.1"
    said = ("The name org.a was not provided by any .service files",)
    return DBusErrorResponse(new_error(asked, "org.freedesktop.DBus.Error.ServiceUnknown", "s", said))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "this machine has no system bus"),
        (PermissionError(13, "Permission denied"), "the system bus cannot be reached: permission denied"),
        (TimeoutError(), "the system bus does not answer"),
        (refused(), "the system bus says: The name org.a was not provided by any .service files"),
        (ValueError(), "ValueError"),
    ],
)
def test_what_a_bus_does_is_said_in_words(error: Exception, words: str) -> None:
    assert why_not(error) == words
