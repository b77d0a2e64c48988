"""The commands that README and docs show, read as a shell and the programs would read them."""

import itertools
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
OURS = re.compile(r"(?:http://)?localhost:(?:3000|8080)(/.*)$")
"""Addresses of the service; others (the demo's site) are not ours to check."""


class Command(NamedTuple):
    """One command of a page."""

    page: str
    number: int
    """Which of the page's commands, from 0 on."""
    variables: dict[str, str]
    """What is set in front of it."""
    program: str
    words: list[str]

    @property
    def name(self) -> str:
        """What tells it from the others, the same in every process."""
        return f"{self.page}-{self.number}"


class Request(NamedTuple):
    """What a line of HTTPie or curl sends."""

    method: str
    target: str
    """Path and query."""
    headers: dict[str, str]
    body: Any
    """Of JSON; None: none."""


def commands_of(page: Path) -> Iterator[Command]:
    """The commands in a page's code blocks, in their order."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$|((?:^    .*\n)+)", page.read_text(), re.DOTALL | re.MULTILINE)
    typed = "\n".join(fenced + indented for language, fenced, indented in blocks if language in ("", "sh", "console"))
    number = itertools.count()
    for line in typed.replace("\\\n", " ").splitlines():
        text = re.sub(r"\$\([^)]*\)", "some-text-that-is-long-enough-for-a-secret", line.strip().removeprefix("$ "))
        if re.match(r"([A-Z_]+=\S* )*(stanchion|http|curl|make) (?!cannot)", text):
            words = shlex.split(text, comments=True)
            start = next(place for place, word in enumerate(words) if "=" not in word)
            variables = dict(word.split("=", 1) for word in words[:start])
            name = str(page.relative_to(ROOT))
            yield Command(name, next(number), variables, words[start], words[start + 1 :])


def request_of(command: Command) -> Request:
    """What a line of HTTPie or curl sends."""
    (url,) = [word for word in command.words if OURS.match(word)]
    target = url.removeprefix("http://").partition("/")[2]
    rest = [word for word in command.words if word != url]
    sent = _of_curl(rest) if command.program == "curl" else _of_httpie(rest)
    return sent._replace(target=f"/{target}{sent.target}")


def _of_curl(words: list[str]) -> Request:
    options = list(itertools.pairwise(words))
    bodies = [json.loads(value) for option, value in options if option == "-d"]
    methods = [value for option, value in options if option == "-X"]
    headers = dict(value.split(": ", 1) for option, value in options if option == "-H")
    return Request((methods or ["POST" if bodies else "GET"])[0], "", headers, (bodies or [None])[0])


def _of_httpie(words: list[str]) -> Request:
    body: dict[str, Any] = {}
    headers: dict[str, str] = {}
    query: list[str] = []
    for word in words:
        if found := re.fullmatch(r"(\w+)==(.*)", word):
            query.append(f"{found[1]}={found[2]}")
        elif found := re.fullmatch(r"(\w+)(:=|=)(?!=)(.*)", word, re.DOTALL):
            name, kind, value = found.groups()
            body[name] = json.loads(value) if kind == ":=" else value
        elif found := re.fullmatch(r"([\w-]+): ?(.*)", word):
            headers[found[1]] = found[2]
    methods = [word for word in words if word in {"GET", "POST", "PUT", "PATCH", "DELETE"}]
    method = (methods or ["POST" if body else "GET"])[0]
    return Request(method, "?" + "&".join(query) if query else "", headers, body or None)
