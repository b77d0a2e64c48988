"""Every key name, built here and nowhere else. This docstring is the schema.

Hash tags keep what one script touches in one cluster slot: one tag per room, lock id and queue.

    key                              type    fields, members                          TTL          written by
    stanchion:keyring                hash    kid -> JSON of a signing key             permanent    tickets.keyring
    stanchion:{replicas}:leader      string  replica id of the leader                 lease        scheduler
    stanchion:{replicas}:term        string  counter of leaderships                   permanent    scheduler
    stanchion:{replicas}:seen        zset    replica id by server time last seen, ms  60 s         scheduler
    stanchion:{room:NAME}:state      hash    see app/rooms/lua/_state.lua             permanent    rooms
    stanchion:{room:NAME}:windows    zset    "edge:until_run_ms" by edge              permanent    rooms (bounded)
    stanchion:{room:NAME}:op:ID      string  reply of a join batch, for its retry     10 s         rooms
    stanchion:{room:NAME}:idem:HASH  string  ticket of an Idempotency-Key             600 s        rooms

Permanent keys are those that `PERMANENT` matches; a test fails on any other key without a TTL.
"""

import re
from hashlib import sha256

PREFIX = "stanchion:"

PERMANENT = re.compile(r"^stanchion:(keyring|\{replicas\}:term|\{room:[^}]+\}:(state|windows))$")

KEYRING = PREFIX + "keyring"
LEADER = PREFIX + "{replicas}:leader"
LEADER_TERM = PREFIX + "{replicas}:term"
REPLICAS_SEEN = PREFIX + "{replicas}:seen"


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
