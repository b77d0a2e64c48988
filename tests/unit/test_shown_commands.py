"""What README and docs show to be typed can be typed: commands, options, variables, routes and bodies are the program's."""

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer

from app.cli.main import cli
from app.settings import Settings
from app.settings.client import ClientSettings
from app.web.app import OPERATIONS
from app.web.operations import Operation, plain_path
from tests.support.shown import PAGES, ROOT, Command, commands_of, request_of

SHOWN = [command for page in PAGES for command in commands_of(page)]
MAKE_TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
NAMES = {name.upper() for model in (Settings, ClientSettings) for name in model.model_fields}


def _of(*programs: str) -> list[Any]:
    return [pytest.param(command, id=command.name) for command in SHOWN if command.program in programs]


@pytest.mark.parametrize("shown", _of("stanchion"))
def test_a_shown_command_line_is_understood(shown: Command) -> None:
    command: Any = typer.main.get_command(cli)
    words = shown.words
    while words and (inner := getattr(command, "commands", {}).get(words[0])):
        command, words = inner, words[1:]
    if hasattr(command, "commands"):
        assert command.invoke_without_command and words[0].startswith("--"), f"there is no {words}"
    command.make_context(command.name, words)
    assert shown.variables.keys() <= NAMES


@pytest.mark.parametrize("shown", _of("make"))
def test_a_shown_make_target_exists(shown: Command) -> None:
    assert shown.words[0] in MAKE_TARGETS
    assert shown.variables.keys() <= NAMES


@pytest.mark.parametrize("shown", _of("http", "curl"))
def test_a_shown_request_is_one_that_the_service_takes(shown: Command) -> None:
    request = request_of(shown)
    path = urlsplit(request.target).path
    (operation,) = [each for each in OPERATIONS if each.method == request.method and _matches(each, path)]
    if request.body and operation.body is not None:
        operation.body.model_validate(request.body)


def _matches(operation: Operation, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", plain_path(operation.path)), path) is not None
