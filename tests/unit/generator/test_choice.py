"""``auto`` takes the best that is here, and says what would change that."""

import pytest

from services.generator.choice import choose
from shared.errors import BackendUnavailable
from shared.messages import Capabilities


def able(**backends: bool) -> list[Capabilities]:
    return [
        Capabilities(backend=name, available=here, reason="" if here else f"Get {name} first.")
        for name, here in backends.items()
    ]


@pytest.mark.parametrize(
    ("here", "chosen"),
    [
        (able(composer=True, musicgpt=True, musicgen=True), "musicgen"),
        (able(composer=True, musicgpt=True, musicgen=False), "musicgpt"),
        (able(composer=True, musicgpt=False, musicgen=False), "composer"),
        (able(composer=False, other=True), "other"),
    ],
)
def test_auto_prefers_a_model_that_is_present(here: list[Capabilities], chosen: str) -> None:
    choice = choose("auto", here)
    assert choice.backend == chosen
    for each in here:
        if not each.available:
            assert each.reason in choice.reason


def test_nothing_that_can_run_is_said_with_every_reason() -> None:
    with pytest.raises(BackendUnavailable, match=r"Get musicgpt first\..*Get composer first\."):
        choose("auto", able(composer=False, musicgpt=False))


def test_what_was_asked_for_is_taken_or_refused_in_words() -> None:
    assert choose("composer", able(composer=True, musicgen=True)).backend == "composer"
    with pytest.raises(BackendUnavailable, match="Get musicgen first"):
        choose("musicgen", able(composer=True, musicgen=False))
    with pytest.raises(BackendUnavailable, match="choose one of composer"):
        choose("magic", able(composer=True))
