"""`stanchion simulate locks`: a storm of requests for a few ids, watched live, with its promises checked."""

import asyncio
import random
import time
from collections.abc import Callable
from enum import Enum
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.simulate.addresses import service_urls
from app.simulate.storm import PROFILES, WAIT_BOUNDS_S, Outcome, Profile, Summary, summarise

LONGEST_ANSWER_S = 900.0
AWAY_S = 0.2
"""After no answer."""

ProfileName = Enum("ProfileName", {name: name for name in PROFILES}, type=str)  # type: ignore[misc]  # made from the table


def locks(
    profile: Annotated[ProfileName, typer.Argument(help="The shape of the storm.")] = ProfileName("default"),
    url: Annotated[
        list[str] | None, typer.Option(help="The service; again for more replicas. Default: STANCHION_URL.")
    ] = None,
    token: Annotated[str, typer.Option(envvar="LOCK_TOKEN", help="Bearer token, where the routes need one.")] = "",
    requests: Annotated[int | None, typer.Option("--requests", "-n", min=1, help="How many requests.")] = None,
    concurrency: Annotated[int | None, typer.Option("--concurrency", "-c", min=1, max=5000, help="At once.")] = None,
    seconds: Annotated[
        str | None, typer.Option("--duration", "-z", help="For so long instead, like 30s or 2m.")
    ] = None,
) -> None:
    """Send requests for a few ids to /request/{id}: everybody is to be served, in order, one at a time.

    Exits with 1 when a request failed, or when two holds of one id overlapped.
    """
    shape = PROFILES[profile.value]
    shape = Profile(requests or shape.requests, concurrency or shape.concurrency, shape.first_id, shape.last_id)
    limit_s = _seconds(seconds) if seconds else None
    urls = service_urls(url)
    console = Console(highlight=False)
    console.print(
        f"[bold]{profile.value}[/bold]: {shape.concurrency} at once for the ids {shape.first_id}–{shape.last_id}, "
        + (f"for {limit_s:g} s" if limit_s else f"{shape.requests} requests")
        + f", at {', '.join(urls)}"
    )
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[state]}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("requests", total=None if limit_s else shape.requests, state="")

        def show(done: int, failed: int, waiting: int) -> None:
            progress.update(bar, completed=done, state=f"{waiting} waiting, {failed} failed")

        summary = asyncio.run(storm(shape, urls, token, limit_s=limit_s, show=show))
    report(summary, console)
    if summary.overlaps or set(summary.by_status) != {200}:
        raise typer.Exit(1)


async def storm(
    shape: Profile,
    urls: list[str],
    token: str = "",
    *,
    limit_s: float | None = None,
    show: Callable[[int, int, int], None],
) -> Summary:
    """Make the storm; `show` is told how many are done, failed and under way."""
    outcomes: list[Outcome] = []
    started_s = time.perf_counter()
    sent = waiting = failed = 0

    async def one_after_another(client: httpx.AsyncClient, base: str) -> None:
        nonlocal sent, waiting, failed
        while sent < shape.requests if limit_s is None else time.perf_counter() - started_s < limit_s:
            sent += 1
            waiting += 1
            outcome = await _ask(client, base, str(random.randint(shape.first_id, shape.last_id)))
            if outcome.status == 0:
                await asyncio.sleep(AWAY_S)  # nobody there: no sense in asking as fast as can be
            waiting -= 1
            failed += outcome.status != 200
            outcomes.append(outcome)
            show(len(outcomes), failed, waiting)

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(limits=limits, timeout=LONGEST_ANSWER_S, headers=headers, trust_env=False) as client:
        await asyncio.gather(*(one_after_another(client, urls[n % len(urls)]) for n in range(shape.concurrency)))
    return summarise(outcomes, time.perf_counter() - started_s)


async def _ask(client: httpx.AsyncClient, base: str, lock_id: str) -> Outcome:
    sent_s = time.perf_counter()
    try:
        answer = await client.get(f"{base}/request/{lock_id}")
        content = (
            answer.json() if answer.status_code == 200 and "json" in answer.headers.get("content-type", "") else {}
        )
    except (httpx.HTTPError, ValueError):
        return Outcome(lock_id, 0, time.perf_counter() - sent_s)
    took_s = time.perf_counter() - sent_s
    if not isinstance(content, dict) or "grantedAtMs" not in content:
        return Outcome(lock_id, answer.status_code, took_s)
    return Outcome(
        lock_id,
        answer.status_code,
        took_s,
        content["waitedMs"] / 1000,
        content["workedMs"] / 1000,
        content["grantedAtMs"],
        content["fence"],
    )


def report(summary: Summary, console: Console) -> None:
    """Print what the storm showed."""
    served = summary.by_status.get(200, 0)
    console.print("\n[bold]Waits[/bold]")
    bounds = [*(f"< {bound:g} s" for bound in WAIT_BOUNDS_S), f"≥ {WAIT_BOUNDS_S[-1]:g} s"]
    most = max(summary.waits) or 1
    for bound, count in zip(bounds, summary.waits, strict=True):
        if count:
            console.print(f"  {bound:>9}  {count:>6}  [cyan]{'█' * max(1, round(40 * count / most))}[/cyan]")
    table = Table("id", "served", "median wait", "longest wait", "overtaken", "overlaps", box=None, pad_edge=True)
    for figures in summary.ids[:20]:
        table.add_row(
            figures.lock_id,
            str(figures.served),
            f"{figures.median_wait_s:.2f} s",
            f"{figures.longest_wait_s:.2f} s",
            str(figures.overtaken),
            str(figures.overlaps),
        )
    console.print("\n[bold]Ids[/bold]" + (f" (20 of {len(summary.ids)})" if len(summary.ids) > 20 else ""))
    console.print(table)
    statuses = ", ".join(f"{count} × {status or 'no answer'}" for status, count in sorted(summary.by_status.items()))
    console.print(f"\n{statuses} in {summary.took_s:.2f} s, {served / max(summary.took_s, 0.001):.0f} a second", end="")
    if summary.ideal_s:
        console.print(f"; the busiest id's work alone was {summary.ideal_s:.2f} s")
    else:
        console.print()
    if summary.checked < served:
        console.print(
            "[yellow]Overlaps: not checked: the upstream's answers do not tell when they held the lock.[/yellow]"
        )
    elif summary.overlaps:
        console.print(f"[bold red]{summary.overlaps} holds overlapped.[/bold red]")
    else:
        console.print(f"[green]No two of {summary.checked} holds overlapped.[/green]")


def _seconds(text: str) -> float:
    factor = {"s": 1.0, "m": 60.0, "h": 3600.0}.get(text[-1:], 0.0)
    try:
        seconds = float(text[:-1]) * factor if factor else float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86_400:
        raise typer.BadParameter("give a time like 30s or 2m")
    return seconds
