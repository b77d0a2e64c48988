"""Every key name, built here and nowhere else. This docstring is the schema.

Hash tags keep what one script touches in one cluster slot: one tag per room, lock id and queue.

    key                              type    fields, members                          TTL          written by
    stanchion:keyring                hash    kid -> JSON of a signing key             permanent    tickets.keyring
    stanchion:{leader}:lock          string  owner token                              lease        scheduler
    stanchion:{leader}:term          string  counter                                  permanent    scheduler
    stanchion:{replicas}             zset    replica id by the time it was last seen  60 s         services
    stanchion:{room:NAME}:state      hash    see app/rooms/lua/_state.lua             permanent    rooms
    stanchion:{room:NAME}:windows    zset    "edge:until_run_ms" by edge              permanent    rooms (bounded)
    stanchion:{room:NAME}:op:ID      string  reply of a join batch, for its retry     10 s         rooms
    stanchion:{room:NAME}:idem:HASH  string  ticket of an Idempotency-Key             600 s        rooms
    stanchion:tasks:queues           zset    queue by when it was first used          permanent    tasks
    stanchion:{tasks:QUEUE}:meta     hash    counters: number, fence, enqueued, …     permanent    tasks (one a queue)
    stanchion:{tasks:QUEUE}:depth    hash    "state:type" -> how many                 permanent    tasks (no zeroes)
    stanchion:{tasks:QUEUE}:t:ID     hash    one task, see app/tasks/lua/_queue.lua   permanent    tasks (finished: TTL)
    stanchion:{tasks:QUEUE}:ready:P:TYPE  zset  id by number, P 0 high to 2 low       permanent    tasks
    stanchion:{tasks:QUEUE}:heads:P  zset    type by number of its first ready task   permanent    tasks
    stanchion:{tasks:QUEUE}:delayed  zset    id by ms when it is due                  permanent    tasks
    stanchion:{tasks:QUEUE}:leased   zset    id by ms when its lease ends             permanent    tasks
    stanchion:{tasks:QUEUE}:done     zset    id by ms when it was finished            permanent    tasks (trimmed)
    stanchion:{tasks:QUEUE}:dead     zset    id by ms when it died                    permanent    tasks (trimmed)
    stanchion:{tasks:QUEUE}:schedules  hash  name -> JSON of a recurring task         permanent    tasks
    stanchion:{tasks:QUEUE}:ticks    zset    schedule's name by ms of its next tick   permanent    tasks
    stanchion:{tasks:QUEUE}:turns    hash    types asked for -> claims so far         3600 s       tasks
    stanchion:{tasks:QUEUE}:armed    hash    types that somebody waits for            10 s         tasks
    stanchion:{tasks:QUEUE}:deathlog list    ids still to be written to the log       7 days       tasks (bounded)
    stanchion:{tasks:QUEUE}:logger   string  replica that writes the log              5 s          tasks
    stanchion:{tasks:QUEUE}:idem:HASH  string  task id of an idempotency key          86400 s      tasks
    stanchion:{tasks:QUEUE}:wake     (a channel, not a key: a type that has work for a waiting claim)

Permanent keys are those that `PERMANENT` matches; a test fails on any other key without a TTL.
"""

import re
from hashlib import sha256

PREFIX = "stanchion:"

PERMANENT = re.compile(
    r"^stanchion:(keyring|\{leader\}:term|\{room:[^}]+\}:(state|windows)"
    r"|tasks:queues|\{tasks:[^}]+\}:(meta|depth|delayed|leased|done|dead|schedules|ticks|heads:\d|ready:\d:.+|t:.+))$",
    re.DOTALL,
)

KEYRING = PREFIX + "keyring"
LEADER_LOCK = PREFIX + "{leader}:lock"
LEADER_TERM = PREFIX + "{leader}:term"
REPLICAS = PREFIX + "{replicas}"


def room_state(room: str) -> str:
    """The one hash that holds a room's counters, clock and settings."""
    return f"{PREFIX}{{room:{room}}}:state"


def room_windows(room: str) -> str:
    """The room's windows that are still open, or were when last looked at."""
    return f"{PREFIX}{{room:{room}}}:windows"


def room_operation(room: str, op_id: str) -> str:
    """What a join batch was answered, kept so that asking again does not count again."""
    return f"{PREFIX}{{room:{room}}}:op:{op_id}"


def room_idempotency(room: str, key: str) -> str:
    """The ticket that a join with this Idempotency-Key was given."""
    return f"{PREFIX}{{room:{room}}}:idem:{sha256(key.encode()).hexdigest()[:32]}"


TASK_QUEUES = PREFIX + "tasks:queues"
TASK_WAKE_PATTERN = PREFIX + "{tasks:*}:wake"


def task_queue(queue: str, part: str) -> str:
    """One of a queue's keys: meta, depth, delayed, leased, done, dead, schedules, ticks, turns, armed, …"""
    return f"{PREFIX}{{tasks:{queue}}}:{part}"


def task_queue_of_channel(channel: str) -> str:
    """The queue that a wake-up channel belongs to."""
    return channel.removeprefix(PREFIX + "{tasks:").removesuffix("}:wake")


def task(queue: str, task_id: str) -> str:
    """The hash of one task."""
    return task_queue(queue, f"t:{task_id}")


def task_idempotency_hash(key: str) -> str:
    """What an idempotency key becomes in its key's name."""
    return sha256(key.encode()).hexdigest()[:32]
