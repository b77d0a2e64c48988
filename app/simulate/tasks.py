"""`stanchion simulate tasks`: work of several kinds on the queue `simulated`, watched live, with its promises checked."""

import asyncio
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.client.tasks import Refused, TaskClient
from app.errors import StanchionError, StoreUnavailable
from app.logs import configure_logs
from app.simulate.addresses import service_urls
from app.worker import Handlers, Task, Worker, WorkerOptions

POISON_RETRIES = 2
COUNTED = ("pending", "processing", "completed", "failed", "leaseExpiries")
_BATCH = 100


@dataclass(frozen=True)
class Shape:
    """One kind of load."""

    tasks: int
    work_s: float
    """Mean time a task takes."""
    failing: float = 0.0
    """How many of a hundred attempts fail, as a fraction."""
    poison: float = 0.0
    """Which fraction of the tasks fails always."""


SHAPES = {
    "flood": Shape(5000, 0.0),
    "failing": Shape(500, 0.01, failing=0.2),
    "slow": Shape(60, 1.0),
    "poison": Shape(300, 0.01, poison=0.1),
}
ShapeName = Enum("ShapeName", {name: name for name in SHAPES}, type=str)  # type: ignore[misc]  # made from the table


@dataclass
class Seen:
    """What the simulation saw."""

    ids: list[str] = field(default_factory=list)
    poison: int = 0
    runs: Counter[str] = field(default_factory=Counter)
    workers: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


def tasks(
    shape: Annotated[ShapeName, typer.Argument(help="The kind of load.")] = ShapeName("flood"),
    url: Annotated[
        list[str] | None, typer.Option(help="The service; again for more replicas. Default: STANCHION_URL.")
    ] = None,
    token: Annotated[str, typer.Option(envvar="TASK_TOKEN", help="Bearer token, where the routes need one.")] = "",
    count: Annotated[int | None, typer.Option("--tasks", "-n", min=1, max=1_000_000, help="How many tasks.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=100, help="How many workers.")] = 3,
    concurrency: Annotated[int, typer.Option("--concurrency", "-c", min=1, max=500, help="Tasks at once, each.")] = 20,
) -> None:
    """Put tasks in, work on them, and check that each is done, or dead where it must be. Uses the queue `simulated`.

    Exits with 1 when a task is lost, or ends where it should not.
    """
    configure_logs("console", "error")
    urls = service_urls(url)
    load = SHAPES[shape.value]
    load = Shape(count or load.tasks, load.work_s, load.failing, load.poison)
    console = Console(highlight=False)
    console.print(f"[bold]{shape.value}[/bold]: {load.tasks} tasks, {workers} workers with {concurrency} hands each")
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[state]}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("tasks", total=load.tasks, state="")

        def show(stats: dict[str, Any]) -> None:
            state = f"{stats['pending']} pending, {stats['processing']} processing, [red]{stats['failed']} dead[/red]"
            progress.update(bar, completed=stats["completed"] + stats["failed"], state=state)

        seen = asyncio.run(simulate(load, urls, token, workers, concurrency, show))
    if not report(load, seen, console):
        raise typer.Exit(1)


async def simulate(
    load: Shape, urls: list[str], token: str, workers: int, concurrency: int, show: Callable[[dict[str, Any]], None]
) -> Seen:
    """Run it; `show` is told the queue's numbers now and then."""
    seen = Seen()
    queue, run = "simulated", secrets.token_hex(4)
    clients = [TaskClient(urls[n % len(urls)], token or None) for n in range(workers)]
    before = await clients[0].stats(queue)
    if before["pending"] or before["processing"]:
        raise Refused("The queue `simulated` is in use: another simulation is under way, or was cut short.", 409)
    started_s = time.perf_counter()
    crew = [
        Worker(client, _handlers(load, seen, f"worker-{n}"), WorkerOptions(f"worker-{n}", queue, (), concurrency, 2.0))
        for n, client in enumerate(clients, 1)
    ]
    running = [asyncio.ensure_future(worker.run()) for worker in crew]
    try:
        await _produce(load, clients[0], queue, run, seen)
        while True:
            try:
                stats = await clients[0].stats(queue)
            except StoreUnavailable:
                await asyncio.sleep(0.5)
                continue
            stats = {name: stats[name] - before[name] for name in COUNTED}
            show(stats)
            if stats["pending"] == stats["processing"] == 0:
                break
            await asyncio.sleep(0.1)
        seen.seconds = time.perf_counter() - started_s
        seen.states = Counter(
            {"completed": stats["completed"], "failed": stats["failed"], "lease expiries": stats["leaseExpiries"]}
        )
    finally:
        for worker in crew:
            worker.stop()
        await asyncio.gather(*running, return_exceptions=True)
        await _clean(clients[0], queue)
        for client in clients:
            await client.aclose()
    return seen


def _handlers(load: Shape, seen: Seen, name: str) -> Handlers:
    handlers = Handlers()

    @handlers.handles("simulated")
    async def work(task: Task) -> dict[str, str]:
        seen.runs[task.id] += 1
        await asyncio.sleep(random.uniform(0.5, 1.5) * load.work_s)
        if task.payload["poison"] or random.random() < load.failing:
            raise RuntimeError("simulated failure")
        seen.workers[name] += 1
        return {"by": name}

    return handlers


async def _produce(load: Shape, client: TaskClient, queue: str, run: str, seen: Seen) -> None:
    """Mixed priorities; poison has two tries, everything else more than chance can use up."""
    for first in range(0, load.tasks, _BATCH):
        batch = []
        for number in range(first, min(first + _BATCH, load.tasks)):
            poison = random.random() < load.poison
            seen.poison += poison
            batch.append(
                {
                    "type": "simulated",
                    "payload": {"n": number, "poison": poison},
                    "priority": random.choice(("high", "normal", "low")),
                    "maxRetries": POISON_RETRIES if poison else 50,
                    "idempotencyKey": f"{run}-{number}",
                }
            )
        while True:
            try:
                seen.ids += await client.enqueue(queue, batch)
                break
            except StoreUnavailable:  # unknown: asked again with the same keys
                await asyncio.sleep(0.5)


async def _clean(client: TaskClient, queue: str) -> None:
    try:
        await client.call("DELETE", "/dead-letters", params={"queue": queue})
    except StanchionError:
        return


def report(load: Shape, seen: Seen, console: Console) -> bool:
    """Print the summary; returns whether the promises held."""
    table = Table("", "", show_header=False, title="Summary", title_justify="left")
    rate = load.tasks / seen.seconds if seen.seconds else 0.0
    for name, value in (
        ("tasks", str(load.tasks)),
        ("completed", str(seen.states["completed"])),
        ("dead letters", str(seen.states["failed"])),
        ("attempts", str(sum(seen.runs.values()))),
        ("leases that ran out", str(seen.states["lease expiries"])),
        ("took", f"{seen.seconds:.2f} s, {rate:.0f} tasks/s"),
    ):
        table.add_row(name, value)
    console.print(table)
    most = max(seen.workers.values(), default=1)
    for name, count in sorted(seen.workers.items()):
        console.print(f"   {name:12} {count:6}  [green]{'█' * max(1, 40 * count // most)}[/green]")
    verdicts = [
        (len(set(seen.ids)) == load.tasks, "every task was taken in once"),
        (set(seen.ids) <= set(seen.runs), "every task was worked on"),
        (seen.states["completed"] == load.tasks - seen.poison, "all that could be done are done"),
        (seen.states["failed"] == seen.poison, f"the {seen.poison} poisonous ones are dead letters, and nothing else"),
    ]
    for holds, what in verdicts:
        console.print(f"[green]✓ {what}[/green]" if holds else f"[bold red]✗ NOT SO: {what}[/bold red]")
    return all(holds for holds, _ in verdicts)
