"""A port that is taken, or an address that is not ours, never keeps the page from being served."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from services.dashboard.ports import Opened, open_port


@contextlib.contextmanager
def opened_at(host: str, port: int) -> Iterator[Opened]:
    opened = open_port(host, port)
    with opened.socket:
        yield opened


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_a_taken_port_becomes_the_next_free_one_and_is_said(taken: int) -> None:
    with opened_at("127.0.0.1", taken) as opened:
        assert opened.port != taken
        assert str(taken) in opened.note
        assert str(opened.port) in opened.note
        assert opened.url == f"http://127.0.0.1:{opened.port}/"
        socket.create_connection(("127.0.0.1", opened.port), timeout=2.0).close()


def test_a_free_port_is_taken_without_a_word(taken: int) -> None:
    with opened_at("127.0.0.1", taken) as first:
        free = first.port
    with opened_at("127.0.0.1", free) as opened:
        assert (opened.port, opened.note) == (free, "")


def test_a_port_that_is_kept_for_something_else_is_passed_over(taken: int) -> None:
    opened = open_port("127.0.0.1", taken, avoid=range(taken + 1, taken + 4))
    with opened.socket:
        assert opened.port not in range(taken, taken + 4)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_ours_leaves_the_page_on_this_machine(host: str, taken: int) -> None:
    with opened_at(host, taken) as opened:
        assert opened.host == "127.0.0.1"
        assert host in opened.note


def test_every_address_is_named_by_one_that_a_browser_can_open() -> None:
    with opened_at("0.0.0.0", 0) as opened:
        assert opened.url.startswith("http://127.0.0.1:")
