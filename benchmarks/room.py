"""The waiting room's hot routes beside a bare ASGI app: throughput, latency, CPU, and trips to the store.

Each round runs every kind of request for a short while, one after the other, so that whatever else the machine
does falls on all of them alike; `benchmarks.beside` says what they are held against.
"""

import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from app.clock import SystemClock
from app.tickets.keyring import KeyRing
from app.tickets.tickets import Tickets, ticket_keys
from benchmarks.beside import BARE, PLAIN, Bursts, no_bursts, rows, target, targets
from benchmarks.load import CONNECTIONS, burst
from benchmarks.processes import Running, RunningStore, bare_app, fetch, replica, store_server
from benchmarks.seen import see_all
from benchmarks.trips import counted

ROUNDS = 5
TICKETS = 20_000
JOIN, FIRST, REPEATED, SERVING = "POST /join", "GET /status, first sight", "GET /status", "GET /serving"
TARGETS = {REPEATED: 1.7, JOIN: 3.0}
"""At most so many times the bare app's CPU per request."""


def run() -> dict[str, object]:
    """Measure; about a minute."""
    secret = secrets.token_hex(32)
    bursts = no_bursts((JOIN, FIRST, REPEATED, SERVING))
    trips: dict[str, list[float]] = {"joins": [], "polls": []}
    with (
        TemporaryDirectory(prefix="stanchion-bench-") as folder,
        store_server() as store,
        replica(store, JWT_SECRET=secret) as service,
        bare_app() as bare,
        bare_app("plain") as plain,
    ):
        tokens = Path(folder) / "tokens"
        burst(service.url + "/join", [service, store], method="POST")  # warms up, and fills the line
        for yardstick in (bare, plain):
            burst(yardstick.url, [yardstick], seconds=1)
        for _ in range(ROUNDS):
            bursts[PLAIN].append(burst(plain.url, [plain]))
            _round(bursts, trips, service, store, bare, lambda: write_tokens(tokens, secret, last_position(service)))
    return {
        "requests": rows("request", bursts),
        "round_trips_per_1000": {kind: round(median(found), 2) for kind, found in trips.items()},
        "targets": [
            *targets(bursts, TARGETS),
            target("round trips per 1,000 joins", 100, round(median(trips["joins"]), 1)),
            target("round trips per 1,000 polls", 0, round(median(trips["polls"]), 1)),
        ],
        "set_up": f"{ROUNDS} rounds of 2 s bursts from {CONNECTIONS} connections, {TICKETS} tickets, one replica",
    }


def _round(
    bursts: Bursts,
    trips: dict[str, list[float]],
    service: Running,
    store: RunningStore,
    bare: Running,
    new_tokens: Callable[[], Path],
) -> None:
    both: list[Running] = [service, store]
    status = service.url + "/status"
    bursts[BARE].append(burst(bare.url, [bare]))
    found, cost = counted(service, store, lambda: burst(service.url + "/join", both, method="POST"))
    bursts[JOIN].append(found)
    trips["joins"].append(cost)
    tokens = new_tokens()
    bursts[FIRST].append(burst(status, both, tokens=tokens, seconds=1))
    if bursts[FIRST][-1].requests > TICKETS:
        raise RuntimeError(f"more than {TICKETS} requests in a second: some tickets were seen twice")
    see_all(status, both, tokens, TICKETS)
    found, cost = counted(service, store, lambda: burst(status, both, tokens=tokens))
    bursts[REPEATED].append(found)
    trips["polls"].append(cost)
    bursts[SERVING].append(burst(service.url + "/serving", both))


def last_position(service: Running) -> int:
    """The last position given out, once the replica's snapshot shows it."""
    time.sleep(0.6)
    found = re.search(rb'"last":(\d+)', fetch(service.url + "/serving"))
    assert found is not None
    return int(found.group(1))


def write_tokens(path: Path, secret: str, last: int) -> Path:
    """Tickets of places all along the line, signed as the replica signs, that it has not seen yet."""
    clock = SystemClock()
    ring = KeyRing(ticket_keys(86_400), [secret.encode()], None, clock)  # type: ignore[arg-type]  # fixed keys need no store
    issuer = Tickets(ring, clock, deployment="stanchion", ttl_s=86_400)
    places = [
        issuer.issue(
            room="default",
            epoch=1,
            position=1 + i * last // TICKETS,
            active_until_run_ms=0,
            issued_s=int(clock.unix_s()),
            ticket_id=secrets.token_urlsafe(12),
        )
        for i in range(TICKETS)
    ]
    path.write_bytes(b"\n".join(place.token for place in places) + b"\n")
    return path
