"""The board tells news from what merely runs on, and who is there from who is not."""

import asyncio

import msgspec

from services.dashboard.board import ALIVE_S, Board, now_playing
from shared.messages import AnalyzerStatus, ControllerStatus, PlayerStatus, ServiceState, Status
from shared.music import Loop, Recipe

LOOP = Loop(
    loop_id="l1",
    job_id="j1",
    epoch=1,
    path="/c/l1.wav",
    frames=96_000,
    recipe=Recipe(prompt="rain", backend="composer"),
)


def status(service: str, state: ServiceState) -> Status:
    return Status(service=service, pid=1, uptime_s=1.0, state=state)


def test_a_position_that_runs_on_is_news_once_a_second() -> None:
    board, have = Board(), {}
    versions = set()
    for tick in range(100):  # five seconds of twenty a second
        board.take(status("player", PlayerStatus(playing=True, frame=tick, blocks=tick)), tick / 20)
        if board.services(tick / 20, since=have):
            versions.add(board.version)
    assert 4 <= len(versions) <= 6
    latest = board.services(5.0)["player"]["state"]
    assert latest["frame"] == 99


def test_a_change_is_news_at_once() -> None:
    board, have = Board(), {}
    board.take(status("player", PlayerStatus(playing=True)), 0.0)
    board.services(0.0, since=have)
    board.take(status("player", PlayerStatus(playing=False)), 0.05)
    assert board.services(0.05, since=have)["player"]["state"]["playing"] is False
    assert board.services(0.05, since=have) == {}


def test_a_state_shows_its_defaults_and_travels_as_json() -> None:
    board = Board()
    board.take(status("player", PlayerStatus(loop=LOOP)), 0.0)
    state = msgspec.json.decode(msgspec.json.encode(board.services(0.0)))["player"]["state"]
    assert state["volume"] == 70
    assert state["loop"]["recipe"]["prompt"] == "rain"


def test_a_silent_service_is_away() -> None:
    board = Board()
    board.take(status("controller", ControllerStatus()), 0.0)
    board.take(status("analyzer", AnalyzerStatus()), 0.0)
    board.take(status("controller", ControllerStatus()), ALIVE_S)
    alive = board.alive(ALIVE_S + 0.5)
    assert (alive["controller"], alive["analyzer"], alive["generator"]) == (True, False, False)


def test_without_the_controller_the_sound_itself_tells_of_the_player() -> None:
    board = Board()
    board.take(status("player", PlayerStatus()), 0.0)
    board.take(status("controller", ControllerStatus()), 0.0)
    board.hear(True)
    assert board.alive(60.0)["player"]
    assert not board.alive(60.0)["controller"]
    board.hear(False)
    assert not board.alive(60.0)["player"]


def test_news_wakes_everyone_who_waits_and_no_news_is_missed() -> None:
    async def scenario() -> None:
        board = Board()
        seen = board.version
        waiting = [asyncio.ensure_future(board.wait(seen, 5.0)) for _ in range(3)]
        await asyncio.sleep(0)
        board.hear(True)
        await asyncio.wait_for(asyncio.gather(*waiting), 1.0)
        await asyncio.wait_for(board.wait(seen, 5.0), 1.0)  # what came before the wait counts too

    asyncio.run(scenario())


def test_the_title_is_what_there_is_of_it() -> None:
    named = msgspec.structs.replace(LOOP, title="Dusk", artist="The Station")
    assert now_playing(PlayerStatus(loop=named), None) == "The Station – Dusk"
    assert now_playing(PlayerStatus(loop=LOOP), ControllerStatus(titles={"l1": "Dawn"})) == "Dawn"
    assert now_playing(PlayerStatus(loop=LOOP), None) == "rain"
    assert now_playing(None, None) == ""
