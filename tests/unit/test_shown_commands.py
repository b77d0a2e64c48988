"""What README and docs show to be typed can be typed: commands, options, routes, methods and bodies are the program's."""

import itertools
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer

from app.cli.main import cli
from app.settings import Settings
from app.settings.client import ClientSettings
from app.web.app import OPERATIONS
from app.web.operations import Operation, plain_path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
MAKE_TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
OURS = re.compile(r"(?:https?://)?localhost:(?:3000|8080)(/.*)?$")
"""Addresses of the service; others (the demo's site) are not ours to check."""
NAMES = {name.upper() for model in (Settings, ClientSettings) for name in model.model_fields}


def _shown(page: Path) -> Iterator[list[str]]:
    """The words of each command in a page's code blocks; what stands before it (`$`, variables) is kept."""
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```|((?:^    .*\n)+)", page.read_text(), re.DOTALL | re.MULTILINE)
    for line in "\n".join(fenced + indented for fenced, indented in blocks).replace("\\\n", " ").splitlines():
        text = re.sub(r"\$\([^)]*\)", "some-text", line.strip().removeprefix("$ "))
        if re.match(r"([A-Z_]+=\S* )*(stanchion|http|curl|make) (?!cannot)", text):
            yield shlex.split(text, comments=True)


SHOWN = [(page.relative_to(ROOT), words) for page in PAGES for words in _shown(page)]


def _of(program: str) -> list[Any]:
    """The commands of one program as test parameters: variables, words behind the program's name."""
    found = []
    for page, words in SHOWN:
        start = next(place for place, word in enumerate(words) if "=" not in word)
        if words[start] == program:
            number = sum(param.id.startswith(f"{page}-") for param in found)
            found.append(pytest.param(words[:start], words[start + 1 :], id=f"{page}-{number}"))
    return found


@pytest.mark.parametrize(("variables", "words"), _of("stanchion"))
def test_a_shown_command_line_is_understood(variables: list[str], words: list[str]) -> None:
    command: Any = typer.main.get_command(cli)
    while words and (inner := getattr(command, "commands", {}).get(words[0])):
        command, words = inner, words[1:]
    if hasattr(command, "commands"):
        assert command.invoke_without_command and words[0].startswith("--"), f"there is no {words}"
    command.make_context(command.name, words)
    assert {variable.partition("=")[0] for variable in variables} <= NAMES


@pytest.mark.parametrize(("variables", "words"), _of("make"))
def test_a_shown_make_target_exists(variables: list[str], words: list[str]) -> None:
    assert words[0] in MAKE_TARGETS
    assert {variable.partition("=")[0] for variable in variables} <= NAMES


@pytest.mark.parametrize(("variables", "words"), [*_of("http"), *_of("curl")])
def test_a_shown_request_is_one_that_the_service_takes(variables: list[str], words: list[str]) -> None:
    assert not variables
    (url,) = [word for word in words if OURS.match(word)]
    rest = [word for word in words if word != url]
    method, body = _sent_by_curl(rest) if {"-X", "-H", "-N"} & set(words) else _sent_by_httpie(rest)
    path = urlsplit("//" + url.removeprefix("http://")).path
    (operation,) = [each for each in OPERATIONS if each.method == method and _matches(each, path)]
    if body and operation.body is not None:
        operation.body.model_validate(body)


def _matches(operation: Operation, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", plain_path(operation.path)), path) is not None


def _sent_by_curl(words: list[str]) -> tuple[str, Any]:
    options = dict(itertools.pairwise(words))
    body = json.loads(options["-d"]) if "-d" in options else None
    return options.get("-X", "POST" if body else "GET"), body


def _sent_by_httpie(words: list[str]) -> tuple[str, Any]:
    body: dict[str, Any] = {}
    for word in words:
        if found := re.fullmatch(r"(\w+)(:=|=)(?!=)(.*)", word, re.DOTALL):
            name, kind, value = found.groups()
            body[name] = json.loads(value) if kind == ":=" else value
    methods = [word for word in words if word in {"GET", "POST", "PUT", "PATCH", "DELETE"}]
    return (methods or ["POST" if body else "GET"])[0], body
