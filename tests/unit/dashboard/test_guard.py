"""The station's own page and plain programs are let in; other web sites are not."""

import pytest

from services.dashboard.web.guard import refusal

LOCAL = "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "bound"),
    [
        ("127.0.0.1:8420", LOCAL),
        ("localhost:8420", LOCAL),
        ("LOCALHOST", LOCAL),
        ("[::1]:8420", LOCAL),
        ("station.localhost:8420", LOCAL),
        ("", LOCAL),
        ("192.168.1.7:8420", "0.0.0.0"),
        ("[fe80::1]:8420", "::"),
        ("music.lan:8420", "music.lan"),
    ],
)
def test_names_of_this_machine_are_let_in(host: str, bound: str) -> None:
    assert refusal("GET", {"host": host}, bound) is None
    assert refusal("POST", {"host": host, "origin": f"http://{host}"}, bound) is None


@pytest.mark.parametrize(
    ("host", "bound"),
    [
        ("evil.example:8420", LOCAL),
        ("evil.example:8420", "0.0.0.0"),
        ("192.168.1.7:8420", LOCAL),
        ("localhost.evil.example", LOCAL),
        ("127.0.0.1.evil.example", LOCAL),
        ("[evil.example]:80", LOCAL),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_name_that_was_made_to_point_here_is_refused(host: str, bound: str, method: str) -> None:
    assert refusal(method, {"host": host}, bound) is not None


@pytest.mark.parametrize("origin", ["http://evil.example", "https://127.0.0.1:8420", "http://127.0.0.1:3000", "null"])
def test_another_site_gives_no_commands(origin: str) -> None:
    assert refusal("POST", {"host": "127.0.0.1:8420", "origin": origin}, LOCAL) is not None


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_neither_commands_nor_listens_nor_reads(site: str) -> None:
    headers = {"host": "127.0.0.1:8420", "sec-fetch-site": site, "sec-fetch-mode": "no-cors"}
    assert refusal("GET", headers, LOCAL) is not None
    assert refusal("POST", headers, LOCAL) is not None


def test_a_link_on_another_site_may_be_followed() -> None:
    headers = {"host": "127.0.0.1:8420", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert refusal("GET", headers, LOCAL) is None
    assert refusal("POST", headers, LOCAL) is not None


def test_a_program_that_is_no_browser_gives_commands() -> None:
    assert refusal("POST", {"host": "127.0.0.1:8420"}, LOCAL) is None
