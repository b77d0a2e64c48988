"""The gate beside a bare ASGI app: a pass by cookie, first seen and seen again, what need not wait, and refusals.

In the manner of `benchmarks.room`. The replica trusts loopback as its proxy; requests carry the headers that a proxy
sets, and the yardsticks get the very same ones.
"""

import json
import urllib.request
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.clock import SystemClock
from app.tickets.keyring import KeyRing
from app.tickets.pass_keys import EDDSA, pass_key_secrets, pass_keys
from app.tickets.passes import Passes
from benchmarks.beside import BARE, PLAIN, Bursts, no_bursts, rows, target, targets
from benchmarks.load import CONNECTIONS, burst
from benchmarks.processes import Running, RunningStore, bare_app, replica, store_server
from benchmarks.seen import see_all
from benchmarks.trips import counted

ROUNDS = 5
PASSES = 20_000
"""Tokens, each of its own, of the sessions of `VISITORS`."""
VISITORS = 200
FIRST, REPEATED, BYPASS, REFUSED = (
    "pass by cookie, first sight",
    "pass by cookie",
    "path that need not wait",
    "browser led to the page",
)
TARGETS = {REPEATED: 1.7, BYPASS: 1.7}
"""At most so many times the bare app's CPU per check."""

ROOMS = """
rooms:
  default: {windowSize: 1000, sessionSeconds: 86400, maxSessionSeconds: 86400, gate: {inline: false, bypass: {paths: [/assets/]}}}
"""
COOKIE = ("Cookie", "theme=dark; stanchion-pass-default=")


def forwarded(uri: str) -> dict[str, str]:
    """The headers of a browser's request as a proxy hands them on."""
    return {
        "X-Forwarded-Method": "GET",
        "X-Forwarded-Uri": uri,
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "shop.example",
        "X-Forwarded-For": "203.0.113.9",
        "Accept": "text/html,application/xhtml+xml",
    }


def run() -> dict[str, object]:
    """Measure; about a minute."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    bursts = no_bursts((FIRST, REPEATED, BYPASS, REFUSED))
    trips: list[float] = []
    with TemporaryDirectory(prefix="stanchion-bench-") as folder, store_server() as store:
        rooms = Path(folder) / "rooms.yaml"
        rooms.write_text(ROOMS)
        env = {"PASS_KEY": pem, "ROOMS_FILE": str(rooms), "TRUSTED_PROXIES": "127.0.0.1"}
        with replica(store, **env) as service, bare_app() as bare, bare_app("plain") as plain:
            visitors = [_entered(service) for _ in range(VISITORS)]
            tokens = Path(folder) / "passes"
            for yardstick in (bare, plain):
                burst(yardstick.url, [yardstick], headers=forwarded("/checkout"), seconds=1)
            for _ in range(ROUNDS):
                _write_passes(tokens, pem, visitors)
                _round(bursts, trips, service, store, (bare, plain), tokens)
    return {
        "checks": rows("check", bursts),
        "targets": [
            *targets(bursts, TARGETS),
            target("round trips per 1,000 checks", 0, round(median(trips), 2)),
        ],
        "set_up": f"{ROUNDS} rounds of 2 s bursts from {CONNECTIONS} connections, {PASSES} passes, one replica",
    }


def _round(
    bursts: Bursts,
    trips: list[float],
    service: Running,
    store: RunningStore,
    yardsticks: tuple[Running, Running],
    tokens: Path,
) -> None:
    both: list[Running] = [service, store]
    gate, page, asset = service.url + "/gate/default", forwarded("/checkout?step=2"), forwarded("/assets/app.js?v=3")
    for name, yardstick in zip((BARE, PLAIN), yardsticks, strict=True):
        bursts[name].append(burst(yardstick.url, [yardstick], tokens=tokens, carrier=COOKIE, headers=page))
    bursts[FIRST].append(burst(gate, both, tokens=tokens, carrier=COOKIE, headers=page, seconds=1))
    if bursts[FIRST][-1].requests > PASSES:
        raise RuntimeError(f"more than {PASSES} checks in a second: some passes were seen twice")
    see_all(gate, both, tokens, PASSES, carrier=COOKIE, headers=page)
    found, cost = counted(service, store, lambda: burst(gate, both, tokens=tokens, carrier=COOKIE, headers=page))
    bursts[REPEATED].append(found)
    trips.append(cost)
    bursts[BYPASS].append(burst(gate, both, headers=asset))
    bursts[REFUSED].append(burst(gate, both, headers=page))


def _entered(service: Running) -> tuple[int, int]:
    """Epoch and position of somebody who has just entered."""
    ticket = _post(service.url + "/join", None)["token"]
    session = _post(service.url + "/rooms/default/enter", str(ticket))
    return int(str(session["epoch"])), int(str(session["position"]))


def _post(url: str, token: str | None) -> dict[str, object]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with urllib.request.urlopen(urllib.request.Request(url, b"", headers), timeout=5) as answer:
        content: dict[str, object] = json.load(answer)
        return content


def _write_passes(path: Path, pem: str, visitors: list[tuple[int, int]]) -> None:
    """Passes of the visitors' sessions, signed as the replica signs, that it has not seen yet."""
    clock = SystemClock()
    ring = KeyRing(pass_keys(EDDSA, 600), pass_key_secrets(pem), None, clock)  # type: ignore[arg-type]  # fixed keys need no store
    issuer, now_s = Passes(ring, clock, deployment="stanchion"), int(clock.unix_s())
    tokens = []
    for number in range(PASSES):
        epoch, position = visitors[number % len(visitors)]
        issued = issuer.issue(room="default", epoch=epoch, position=position, issued_s=now_s, expires_s=now_s + 86_000)
        tokens.append(issued.token)
    path.write_bytes(b"\n".join(tokens) + b"\n")
