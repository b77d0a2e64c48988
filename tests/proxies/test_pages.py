"""The pages on proxies show what the tests run: every line of their examples stands in the files themselves."""

import re
from pathlib import Path

import pytest

from tests.proxies.programs import EXAMPLES

PAGES = Path(__file__).parents[2] / "docs" / "proxies"
RUN = ["nginx", "caddy", "haproxy", "envoy", "traefik"]


def _plain(text: str) -> list[str]:
    """Lines without indentation, comments at their end and spaces doubled."""
    return [re.sub(r"\s+", " ", re.sub(r"\s\s?# .*$", "", line)).strip() for line in text.splitlines()]


@pytest.mark.parametrize("page", RUN)
def test_what_a_page_shows_stands_in_the_file_that_is_run(page: str) -> None:
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```\w+\n(.*?)```", text, flags=re.DOTALL)
    assert blocks
    files = (EXAMPLES / page).iterdir()
    known = {line for file in files for line in _plain(file.read_text(encoding="utf-8"))}
    for block in blocks:
        for line in _plain(block):
            assert line in known, f"{page}.md shows {line!r}, which no example has"


@pytest.mark.parametrize("page", RUN)
def test_a_page_links_to_every_file_that_is_run(page: str) -> None:
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    for file in [*(EXAMPLES / page).iterdir(), EXAMPLES / "please-wait.html"]:
        assert f"../examples/proxies/{file.relative_to(EXAMPLES)}" in text
