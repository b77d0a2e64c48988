"""`stanchion tasks …`: looking after the task queues from a terminal."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Column, Table

from app.cli.connection import operator_api

tasks = typer.Typer(name="tasks", help="Look after the task queues.", no_args_is_help=True)

Queue = Annotated[str, typer.Option(help="Which queue.")]
SHOWN = ("pending", "processing", "completed", "failed", "ready", "delayed", "failures", "leaseExpiries")


@tasks.command()
def stats(queue: Annotated[str, typer.Option(help="Which queue; all if not given.")] = "") -> None:
    """Show every queue in numbers."""
    table = Table("queue", *SHOWN, "oldest waits")
    with operator_api() as api:
        for name in [queue] if queue else api.call("GET", "/queues")["queues"]:
            counted = api.call("GET", "/stats", params={"queue": name})
            table.add_row(name, *(str(counted[each]) for each in SHOWN), f"{counted['oldestWaitSeconds']:.1f} s")
    _console().print(table)


@tasks.command("list")
def list_(
    queue: Queue = "default",
    status: Annotated[str, typer.Option(help="pending, processing, completed or failed.")] = "",
    only_type: Annotated[str, typer.Option("--type", help="Only this type.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 50,
) -> None:
    """List tasks: those being worked on, then ready, delayed, dead, done."""
    params: dict[str, str | int] = {"queue": queue, "limit": min(limit, 500)}
    params.update({name: value for name, value in (("status", status), ("type", only_type)) if value})
    table = Table(Column("id", overflow="fold"), "type", "state", "priority", "created", "attempts", "retries", "error")
    left = limit
    with operator_api() as api:
        while left > 0:
            page = api.call("GET", "/tasks", params=params)
            for task in page["tasks"][:left]:
                table.add_row(*_row(task))
            left -= len(page["tasks"])
            if "next" not in page:
                break
            params["cursor"] = page["next"]
    _console().print(table)


def _console() -> Console:
    """Shows what producers and workers wrote as it is: brackets and colons in it are no markup."""
    return Console(markup=False, emoji=False)


def _row(task: dict[str, Any]) -> tuple[str, ...]:
    created = datetime.fromtimestamp(task["createdAt"] / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    retries = f"{task['retries']}/{task['maxRetries']}"
    error = str(task.get("error", ""))[:60]
    return (task["id"], task["type"], task["state"], task["priority"], created, str(task["attempts"]), retries, error)


@tasks.command()
def look(task_id: Annotated[str, typer.Argument(help="The task's id.")]) -> None:
    """Show one task with its payload, result or error."""
    with operator_api() as api:
        Console().print_json(json.dumps(api.call("GET", f"/task/{quote(task_id, safe='')}")))


@tasks.command()
def retry(
    task_id: Annotated[str, typer.Argument(help="A dead letter's id; all of the queue's if not given.")] = "",
    queue: Queue = "default",
) -> None:
    """Put dead letters back in line."""
    with operator_api() as api:
        if task_id:
            count = api.call("POST", f"/dead-letters/{quote(task_id, safe='')}/retry")["count"]
        else:
            count = api.call("POST", "/dead-letters/retry", params={"queue": queue})["count"]
    Console().print(f"{count} back in line.")


@tasks.command()
def purge(
    queue: Queue,
    state: Annotated[str, typer.Option(help="ready, delayed, leased, dead, done, or all.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete every task of a queue in one state, or all of them."""
    if not yes:
        typer.confirm(f"Delete the {state} tasks of the queue {queue}?", abort=True)
    with operator_api() as api:
        count = api.call("DELETE", "/tasks", params={"queue": queue, "state": state})["count"]
    Console().print(f"{count} deleted.")
