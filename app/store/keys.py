"""Every key name, built here and nowhere else. This docstring is the schema.

Hash tags keep what one script touches in one cluster slot: one tag per room, lock id and queue.

    key                              type    fields, members                          TTL          written by
    stanchion:keyring                hash    kid -> JSON of a signing key             permanent    tickets.keyring
    stanchion:pass-keyring           hash    kid -> JSON of a private key             permanent    tickets.keyring
    stanchion:{replicas}:leader      string  replica id of the leader                 lease        scheduler
    stanchion:{replicas}:term        string  counter of leaderships                   permanent    scheduler
    stanchion:{replicas}:seen        zset    replica id by server time last seen, ms  60 s         scheduler
    stanchion:{room:NAME}:state      hash    see app/rooms/lua/_state.lua             permanent    rooms
    stanchion:{room:NAME}:windows    zset    "edge:until_run_ms" by edge              permanent    rooms (bounded)
    stanchion:{room:NAME}:turns      zset    position by running time of its end      permanent    rooms (while open)
    stanchion:{room:NAME}:sessions   zset    position by server time of its end, ms   permanent    rooms (while live)
    stanchion:{room:NAME}:log        zset    position by sequence number, see _keys   permanent    rooms (as above)
    stanchion:{room:NAME}:done       zset    position by sequence number              permanent    rooms (see _visits)
    stanchion:{room:NAME}:front      zset    position by position                     permanent    rooms (until let in)
    stanchion:{room:NAME}:passed     zset    position by running time of its end      permanent    rooms (the grace)
    stanchion:{room:NAME}:seen       zset    position by running time it counts for   permanent    rooms (until let in)
    stanchion:{room:NAME}:audit      list    JSON of operators' actions, newest first 1 year       rooms (1,000)
    stanchion:{room:NAME}:history    list    samples, newest first; see sample.lua    2 h          rooms.history (720)
    stanchion:{room:NAME}:polls      string  polls so far, of all replicas            2 h          rooms.history
    stanchion:{room:NAME}:barred     zset    "epoch-position" by ms until it is barred    TICKET_TTL   rooms (see _bars)
    stanchion:{room:NAME}:from:HASH  string  joins of an address in its window        60 s         rooms
    stanchion:{room:NAME}:who:HASH   string  ticket of an identity                    TICKET_TTL   rooms
    stanchion:{room:NAME}:offer:DIGEST  string  place for whoever brings the code     300 s        rooms.offers
    stanchion:{room:NAME}:codes:HASH  string  codes made or tried of late             60 s, 3600 s rooms.offers
    stanchion:{room:NAME}:entry:HASH string  session that an entry code stands for    60 s         services.entries
    stanchion:{room:NAME}:once:HASH  string  who has used a code for one use          its life     services.vips
    stanchion:{rooms}:index          hash    room -> "live:N" or "gone:N" (see index) permanent    rooms.directory
    stanchion:{room:NAME}:op:ID      string  reply of a join batch, for its retry     10 s         rooms
    stanchion:{room:NAME}:idem:HASH  string  ticket of an Idempotency-Key             600 s        rooms
    stanchion:tasks:queues           zset    queue by ms when it was last noted       permanent    tasks.queue_list (1,000)
    stanchion:{tasks:QUEUE}:meta     hash    counters: number, fence, enqueued, …     permanent    tasks (while listed)
    stanchion:{tasks:QUEUE}:depth    hash    "state:type" -> how many                 permanent    tasks (no zeroes)
    stanchion:{tasks:QUEUE}:t:TASK   hash    one task, see app/tasks/lua/_queue.lua   permanent    tasks (until trimmed)
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
    stanchion:tasks:wake             channel a queue that has work for a claim that waits -            tasks
    stanchion:{lock:ID}:holders      zset    token by the end of its lease (ms)       LOCK_KEEP    locks
    stanchion:{lock:ID}:line         zset    waiting token by arrival (µs)            LOCK_KEEP    locks
    stanchion:{lock:ID}:state        hash    see app/locks/lua/_lock.lua              LOCK_KEEP    locks
    stanchion:{lock:ID}:fence        string  the last fencing token                   7 days       locks
    stanchion:{lock:ID}:done:TOKEN   string  the answer to a release, for its repeat  60 s         locks
    stanchion:{locks}:held           zset    lock id by the end of its lease (ms)     LOCK_KEEP    locks.index
    stanchion:{operators}:tries:HASH string  tries of an address to sign in           300 s        operators
    stanchion:{operators}:out:ID     string  a session that was signed out            its rest     operators
    stanchion:locks:wake:REPLICA     channel "token fence" of a hand-over             -            locks

`ID` is the lock id percent-encoded, or, when that is long, `#` and a digest of it: ids may hold any
character, and a brace in one must not end the hash tag. LOCK_KEEP is longer than any lease and wait.

Permanent keys are those that `PERMANENT` matches; a test fails on any other key without a TTL.
"""

import re
from hashlib import sha256
from urllib.parse import quote

PREFIX = "stanchion:"

PERMANENT = re.compile(
    r"^stanchion:(keyring|pass-keyring|\{replicas\}:term|\{rooms\}:index"
    r"|\{room:[^}]+\}:(state|windows|turns|sessions|log|done|front|passed|seen)"
    r"|tasks:queues|\{tasks:[^}]+\}:(meta|depth|delayed|leased|done|dead|schedules|ticks|heads:\d|ready:\d:.+|t:.+))$",
    re.DOTALL,
)

_SCHEMA = [
    (re.compile(re.sub(r"[A-Z]{2,}|\bP\b", ".+", re.escape(name)), re.DOTALL), kind)
    for name, kind in re.findall(r"^    (stanchion:\S+) +(hash|list|string|zset) ", __doc__ or "", re.MULTILINE)
]


def type_of(key: str) -> str:
    """What a key should hold, as the schema above says and the server calls it; '' for none of ours."""
    return next((kind for pattern, kind in _SCHEMA if pattern.fullmatch(key)), "")


KEYRING = PREFIX + "keyring"
PASS_KEYRING = PREFIX + "pass-keyring"
ROOMS_INDEX = PREFIX + "{rooms}:index"
LEADER = PREFIX + "{replicas}:leader"
LEADER_TERM = PREFIX + "{replicas}:term"
REPLICAS_SEEN = PREFIX + "{replicas}:seen"


ROOM_PARTS = ("state", "windows", "turns", "sessions", "log", "done", "front", "passed", "seen")


def room_keys(room: str) -> dict[str, str]:
    """The keys that every room script is given first, by the names of its header."""
    return {part: f"{PREFIX}{{room:{room}}}:{part}" for part in ROOM_PARTS}


def room_audit(room: str) -> str:
    """The list of what operators did to a room; it outlives the room."""
    return f"{PREFIX}{{room:{room}}}:audit"


def room_history(room: str) -> dict[str, str]:
    """The room's figures over time, and its count of polls."""
    return {part: f"{PREFIX}{{room:{room}}}:{part}" for part in ("history", "polls")}


def room_barred(room: str) -> str:
    """The places whose holders may take no new ones."""
    return f"{PREFIX}{{room:{room}}}:barred"


def room_address(room: str, address: str) -> str:
    """How often an address has joined of late."""
    return f"{PREFIX}{{room:{room}}}:from:{sha256(address.encode()).hexdigest()[:32]}"


def room_identity(room: str, pseudonym: str) -> str:
    """The ticket that a person, known by a pseudonym only, was given."""
    return f"{PREFIX}{{room:{room}}}:who:{pseudonym}"


def room_offer(room: str, offer_id: str) -> str:
    """A place that is on its way to another device, by the digest of its code."""
    return f"{PREFIX}{{room:{room}}}:offer:{offer_id}"


def room_codes(room: str, who: str) -> str:
    """How many codes were made for a place, or tried from an address, of late."""
    return f"{PREFIX}{{room:{room}}}:codes:{sha256(who.encode()).hexdigest()[:32]}"


def room_entry(room: str, digest: str) -> str:
    """The session that an entry code stands for, by the code's digest."""
    return f"{PREFIX}{{room:{room}}}:entry:{digest}"


def room_once(room: str, code: str) -> str:
    """Who has used a code for one use, as a digest."""
    return f"{PREFIX}{{room:{room}}}:once:{sha256(code.encode()).hexdigest()[:32]}"


def room_operation(room: str, op_id: str) -> str:
    """What a join batch was answered, kept so that asking again does not count again."""
    return f"{PREFIX}{{room:{room}}}:op:{op_id}"


def room_idempotency(room: str, key: str) -> str:
    """The ticket that a join with this Idempotency-Key was given."""
    return f"{PREFIX}{{room:{room}}}:idem:{sha256(key.encode()).hexdigest()[:32]}"


TASK_QUEUES = PREFIX + "tasks:queues"
TASK_WAKE = PREFIX + "tasks:wake"
"""A channel, named in app/tasks/lua/_queue.lua too: a queue that has work for a waiting claim."""


def task_queue(queue: str, part: str) -> str:
    """One of a queue's keys: meta, depth, delayed, leased, done, dead, schedules, ticks, turns, armed, …"""
    return f"{PREFIX}{{tasks:{queue}}}:{part}"


def task(queue: str, task_id: str) -> str:
    """The hash of one task."""
    return task_queue(queue, f"t:{task_id}")


def task_idempotency_hash(key: str) -> str:
    """What an idempotency key becomes in its key's name."""
    return sha256(key.encode()).hexdigest()[:32]


def operator_tries(address: str) -> str:
    """How often an address has tried to sign in to the dashboard of late."""
    return f"{PREFIX}{{operators}}:tries:{sha256(address.encode()).hexdigest()[:32]}"


def operator_signed_out(session_id: str) -> str:
    """Stands as long as a signed-out session's cookie would otherwise hold."""
    return f"{PREFIX}{{operators}}:out:{session_id}"


LOCKS_HELD = PREFIX + "{locks}:held"
LOCK_WAKE_PREFIX = PREFIX + "locks:wake:"
_LONGEST_PLAIN_ID = 200


def lock_keys(lock_id: str) -> dict[str, str]:
    """The keys of a lock, by the names its scripts use."""
    prefix = _lock_prefix(lock_id)
    return {part: f"{prefix}:{part}" for part in ("holders", "line", "state", "fence")}


def lock_done(lock_id: str, token: str) -> str:
    """What a release with this token was answered."""
    return f"{_lock_prefix(lock_id)}:done:{token}"


def _lock_prefix(lock_id: str) -> str:
    name = quote(lock_id, safe="")
    if len(name) > _LONGEST_PLAIN_ID:
        name = "#" + sha256(lock_id.encode()).hexdigest()
    return f"{PREFIX}{{lock:{name}}}"
