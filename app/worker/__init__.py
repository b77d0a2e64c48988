"""Task workers, which speak HTTP only."""

from app.worker.handlers import GiveUp, Handlers, Task, TryLater
from app.worker.runner import Worker, WorkerOptions

__all__ = ["GiveUp", "Handlers", "Task", "TryLater", "Worker", "WorkerOptions"]
