"""The task queue and its workers."""

import socket
from pathlib import Path

from pydantic import BaseModel, Field


class TaskSettings(BaseModel):
    """The task queue: leases, retries, what is kept how long, and how sure an answer must be."""

    task_lease: float = Field(
        30.0, ge=1, le=86_400, description="Seconds a worker may go without a heartbeat before its task is given away."
    )
    task_max_retries: int = Field(
        3, ge=0, le=100, description="The failure that is final, for tasks that do not say: 3 means the third."
    )
    task_max_expiries: int = Field(
        5, ge=1, le=1000, description="How many leases of one task may run out before it goes to the dead letters."
    )
    task_backoff: float = Field(
        1.0, ge=0, le=3600, description="Seconds before the first retry; doubled for each further one, with jitter."
    )
    task_backoff_limit: float = Field(300.0, ge=0, le=86_400, description="The longest a retry is put off, in seconds.")
    task_keep_seconds: float = Field(
        86_400.0, ge=1, le=31_536_000, description="How long a finished task and its result can be looked up."
    )
    task_keep_count: int = Field(
        10_000, ge=0, le=10_000_000, description="How many finished tasks of a queue are kept at most."
    )
    task_keep_bytes: int = Field(
        64 * 1024 * 1024, ge=0, description="How many bytes of finished tasks a queue keeps at most."
    )
    task_keep_dead_seconds: int = Field(
        2_592_000, ge=1, le=315_360_000, description="How long a dead letter is kept (30 days)."
    )
    task_keep_dead_count: int = Field(
        100_000, ge=1, le=10_000_000, description="How many dead letters of a queue are kept; the oldest go first."
    )
    task_max_payload: int = Field(
        65_536, ge=2, le=8_388_608, description="Bytes of JSON that a payload, a result or an error may have."
    )
    task_idempotency_seconds: float = Field(
        86_400.0, ge=1, le=2_592_000, description="How long an idempotency key of a task is remembered."
    )
    task_strict_replicas: int = Field(
        0,
        ge=0,
        le=10,
        description="Strict mode: how many replicas of the store must have a change before it is answered.",
    )
    task_strict_fsync: bool = Field(
        False, description="Strict mode: whether the change must be on disk first (`WAITAOF`, Redis 7.2 or Valkey)."
    )
    task_strict_timeout: float = Field(
        2.0, ge=0.01, le=60, description="Strict mode: seconds to wait for that; then 503, outcome unknown."
    )
    task_max_wait: float = Field(
        60.0, ge=0, le=600, description="Longest that a `GET /dequeue?wait=` waits; one that asks for more gets this."
    )
    grab_seconds: float = Field(2.0, ge=0, le=20, description="How long the simulated work of `POST /grab-task` takes.")
    require_lease_token: bool = Field(
        False, description="Refuse workers that finish a task without its lease token, as the simplest ones do."
    )
    dead_letter_log: Path | None = Field(
        None, description="File to which every dead letter is also appended as a line of JSON."
    )


class WorkerSettings(BaseModel):
    """What `stanchion worker` and the other clients of a running service need to know."""

    worker_id: str = Field(
        default_factory=socket.gethostname,
        min_length=1,
        max_length=100,
        description="Name of this worker, shown with the tasks it has. Default: the host name.",
    )
    queue_url: str = Field("http://localhost:3000", description="Where the service is, as a worker sees it.")
