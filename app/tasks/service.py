"""The task queue of a replica: its parts, and the loops that keep it going."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from app.errors import ConfigError
from app.metrics import TaskMetrics
from app.settings import Settings
from app.store import Store
from app.tasks.dispatcher import Dispatcher
from app.tasks.housekeeping import Housekeeping
from app.tasks.queues import TaskQueues
from app.tasks.schedules import Schedules


@dataclass(frozen=True)
class TaskService:
    """What the web layer and the background loops work with."""

    queues: TaskQueues
    dispatcher: Dispatcher
    schedules: Schedules
    housekeeping: Housekeeping


def open_tasks(
    stack: AsyncExitStack,
    store: Store,
    settings: Settings,
    metrics: TaskMetrics,
    replica_id: str,
    is_draining: Callable[[], bool],
) -> TaskService:
    """Build the task queue on a store; what it hands out or takes back last is let finish when `stack` closes.

    Raises:
        ConfigError: strict mode is asked for where the store cannot give it.
    """
    strict = settings.task_strict_replicas > 0 or settings.task_strict_fsync
    if strict and store.is_cluster:
        raise ConfigError(["TASK_STRICT_REPLICAS, TASK_STRICT_FSYNC: not available with a Redis Cluster"])
    queues = TaskQueues(store, settings, metrics)
    dispatcher = Dispatcher(queues, store, is_draining)
    schedules = Schedules(store, queues)
    stack.push_async_callback(dispatcher.aclose)
    housekeeping = Housekeeping(store, queues, schedules, settings, metrics, replica_id)
    return TaskService(queues, dispatcher, schedules, housekeeping)
