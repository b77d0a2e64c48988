"""The operator's commands that README and docs show succeed, one after the other as a reader types them."""

from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from app.cli.main import cli
from tests.support.replicas import Replica
from tests.support.servers import RealServer
from tests.support.shown import PAGES, Command, commands_of

TOKEN = "admin-token-for-tests"
GROUPS = ("rooms", "keys", "tasks")
"""What comes to an end by itself, and needs no crowd."""
SHOWN: dict[str, list[Command]] = {}
for command in (command for page in PAGES for command in commands_of(page)):
    if command.program == "stanchion" and command.words[0] in GROUPS:
        SHOWN.setdefault(command.page, []).append(command)


@pytest.mark.parametrize("page", SHOWN)
def test_the_commands_of_a_page_succeed_in_their_order(
    server: RealServer, start_replica: Callable[..., Replica], monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    replica = start_replica(server.url, ADMIN_TOKEN=TOKEN)
    monkeypatch.setenv("STANCHION_URL", replica.url)
    monkeypatch.setenv("ADMIN_TOKEN", TOKEN)
    typed = [command.words for command in SHOWN[page]]
    if not any(words[:3] == ["rooms", "create", "sale"] for words in typed):
        typed.insert(0, ["rooms", "create", "sale"])  # which a page before it has made
    for words in typed:
        run = CliRunner().invoke(cli, words)
        assert run.exit_code == 0, f"{words}: {run.output} {run.exception!r}"
    with server.client() as direct:
        direct.flushall()
