"""The page holds together: its parts name each other rightly, and nothing of it lies elsewhere."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[3] / "services" / "dashboard" / "static"
FILES = sorted(path.name for path in STATIC.iterdir())


class Page(HTMLParser):
    """Every element of the page with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.feed((STATIC / "index.html").read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]


@pytest.fixture(scope="module")
def page() -> Page:
    return Page()


def test_every_element_that_the_script_asks_for_is_there_once(page: Page) -> None:
    asked = set(re.findall(r'\$\("([\w-]+)"\)', (STATIC / "page.js").read_text("utf-8")))
    assert len(asked) > 20
    assert asked <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_every_part_that_is_named_exists() -> None:
    named = set(re.findall(r'"/static/([\w.]+)"', (STATIC / "index.html").read_text("utf-8")))
    for name in FILES:
        if name.endswith(".js"):
            named |= set(re.findall(r'from "\./([\w.]+)"', (STATIC / name).read_text("utf-8")))
    assert named == set(FILES) - {"index.html"}


@pytest.mark.parametrize("name", FILES)
def test_nothing_comes_from_elsewhere(name: str) -> None:
    text = (STATIC / name).read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"(https?:)?//[\w.-]+\.\w", re.sub(r"(?m)^\s*//.*$", "", text))


def test_the_page_needs_no_exception_from_its_policy(page: Page) -> None:
    for tag, attributes in page.elements:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        if tag == "script":
            assert attributes["src"]


def test_every_control_says_what_it_is(page: Page) -> None:
    labelled = {attributes["for"] for tag, attributes in page.elements if tag == "label"}
    for tag, attributes in page.elements:
        if tag == "input":
            assert attributes["id"] in labelled
        if "round" in attributes.get("class", ""):
            assert attributes["aria-label"]
        for reference in attributes.get("aria-labelledby", "").split():
            assert reference in page.ids


def test_the_page_does_not_load_the_endless_stream_by_itself(page: Page) -> None:
    (audio,) = [attributes for tag, attributes in page.elements if tag == "audio"]
    assert audio["preload"] == "none"
    assert "src" not in audio
