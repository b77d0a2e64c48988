"""`stanchion simulate grab`: many grab tasks at once, and no two may get the same."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console

from app.simulate.addresses import service_urls


@dataclass(frozen=True)
class Grab:
    """What one request got."""

    request: int
    number: int | None
    """The task's number; None: there was none, or it failed."""
    task_id: str
    replica: str
    seconds: float
    problem: str = ""


def grab(
    url: Annotated[
        list[str] | None, typer.Option(help="The service; again for more replicas. Default: STANCHION_URL.")
    ] = None,
    tasks: Annotated[int, typer.Option(min=1, max=10_000, help="How many tasks there are.")] = 30,
    requests: Annotated[int, typer.Option("--requests", "-n", min=1, max=5000, help="How many grab at once.")] = 15,
    token: Annotated[str, typer.Option(envvar="TASK_TOKEN", help="Bearer token, where the routes need one.")] = "",
) -> None:
    """Create tasks, let many grab at once, and show which replica did which. Empties the queue `demo` first.

    Exits with 1 when two got the same task, or fewer got one than could.
    """
    urls = service_urls(url)
    console = Console(highlight=False)
    console.rule("[bold]TASK GRAB: every request gets a task of its own")
    started_s = time.perf_counter()
    try:
        grabs = asyncio.run(grab_all(urls, tasks, requests, token, console))
    except httpx.HTTPError as error:
        console.print(f"[red]The service at {urls[0]} cannot be used: {error}[/red]")
        raise typer.Exit(1) from None
    if not report(grabs, min(tasks, requests), time.perf_counter() - started_s, console):
        raise typer.Exit(1)


async def grab_all(urls: list[str], tasks: int, requests: int, token: str, console: Console) -> list[Grab]:
    """Reset, create, and grab all at once; each grab is shown as it comes."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(headers=headers, timeout=60, limits=limits, trust_env=False) as client:
        console.print("Resetting …  ", end="")
        console.print((await _done(client, "DELETE", f"{urls[0]}/reset-tasks"))["message"])
        created = await _done(client, "POST", f"{urls[0]}/create-tasks?count={tasks}")
        console.print(f"Creating …   {created['message']} by {created['createdBy']}")
        console.print(f"Launching {requests} grabs at once …\n")

        async def one(number: int) -> Grab:
            result = await _grab(client, urls[number % len(urls)], number)
            console.print(_line(result))
            return result

        return list(await asyncio.gather(*(one(number) for number in range(1, requests + 1))))


async def _done(client: httpx.AsyncClient, method: str, url: str) -> Any:
    answer = await client.request(method, url)
    answer.raise_for_status()
    return answer.json()


async def _grab(client: httpx.AsyncClient, base: str, number: int) -> Grab:
    started_s = time.perf_counter()
    try:
        answer = await client.post(f"{base}/grab-task")
    except httpx.HTTPError as error:
        return Grab(number, None, "", "", time.perf_counter() - started_s, type(error).__name__)
    took_s = time.perf_counter() - started_s
    if answer.status_code != 200:
        return Grab(number, None, "", "", took_s, "no task" if answer.status_code == 404 else str(answer.status_code))
    content = answer.json()
    return Grab(number, content["taskNumber"], content["taskId"], content["grabbedBy"], took_s)


def _line(result: Grab) -> str:
    if result.number is None:
        return f"[yellow]✗[/yellow] Request #{result.request:2}: {result.problem}"
    return (
        f"[green]✓[/green] Request #{result.request:2}: Task #{result.number:2} grabbed by "
        f"[cyan]{result.replica:20}[/cyan] ({result.seconds:.2f}s)"
    )


def report(grabs: list[Grab], expected: int, seconds: float, console: Console) -> bool:
    """Print the summary; returns whether the promise held."""
    got = [one for one in grabs if one.number is not None]
    console.rule("[bold]SUMMARY")
    console.print(f"Total requests:    {len(grabs)}")
    console.print(f"Successful:        {len(got)}")
    console.print(f"Failed / no task:  {len(grabs) - len(got)}")
    console.print(f"Total time:        {seconds:.2f}s\n")
    console.print("[bold]Tasks per replica[/bold]")
    for replica, count in sorted(Counter(one.replica for one in got).items()):
        console.print(f"   {replica:20} {count:3} tasks  [green]{'█' * count}[/green]")
    different = len({one.task_id for one in got}) == len(got)
    enough = len(got) == expected
    console.print()
    console.print(_verdict(different, "every grab got a different task"))
    console.print(_verdict(enough, f"as many got one as there could be ({expected})"))
    return different and enough


def _verdict(holds: bool, what: str) -> str:
    return f"[green]✓ {what}[/green]" if holds else f"[bold red]✗ NOT SO: {what}[/bold red]"
