"""`stanchion worker`: takes tasks from a running service and runs their handlers."""

import asyncio
import signal
from typing import Annotated

import typer

from app.client.tasks import TaskClient
from app.logs import configure_logs
from app.settings import load_settings
from app.worker.handlers import Handlers, load_handlers
from app.worker.runner import Worker, WorkerOptions


def worker(
    handlers: Annotated[
        str, typer.Option(help="Your handlers, as module:name; the examples if not given.")
    ] = "app.worker.examples:work",
    concurrency: Annotated[int, typer.Option(min=1, max=1000, help="How many tasks at once.")] = 1,
    types: Annotated[str, typer.Option(help="Only these types, separated by commas.")] = "",
    queue: Annotated[str, typer.Option(help="Which queue.")] = "default",
    url: Annotated[str, typer.Option(help="Where the service is. Default: QUEUE_URL.")] = "",
    grace: Annotated[float, typer.Option(min=0, help="Seconds that running tasks may take after SIGTERM.")] = 10.0,
) -> None:
    """Work on tasks until SIGTERM or Ctrl-C. WORKER_ID, QUEUE_URL and TASK_TOKEN are read from the environment."""
    settings = load_settings()
    configure_logs(settings.log_format, settings.log_level)
    options = WorkerOptions(
        worker_id=settings.worker_id,
        queue=queue,
        types=tuple(part.strip() for part in types.split(",") if part.strip()),
        concurrency=concurrency,
        grace_s=grace,
    )
    token = settings.task_token.get_secret_value() if settings.task_token else None
    loaded = load_handlers(handlers)
    asyncio.run(_run(url or settings.queue_url, token, loaded, options))


async def _run(url: str, token: str | None, handlers: Handlers, options: WorkerOptions) -> None:
    async with TaskClient(url, token) as client:
        working = Worker(client, handlers, options)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, working.stop)
        await working.run()
