"""What a replica is made of. `open_services` is the only place that builds it."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

from app.clock import Clock, SystemClock
from app.errors import StanchionError
from app.locks.service import LockService
from app.locks.upstream import Upstream
from app.metrics import Metrics
from app.operators.sign_in import SignIns
from app.rooms.history import History
from app.rooms.metrics import RoomsCollector
from app.rooms.offers import Offers
from app.rooms.operator import Operator
from app.rooms.rooms import Rooms
from app.rooms.settings import RoomSettings
from app.scheduler.housekeeping import Housekeeping
from app.scheduler.leader import Leader
from app.services.background import run_in_background
from app.services.carrying import Carrying
from app.services.entries import Entries
from app.services.guests import Guests, fetch_keys
from app.services.locks import open_locks, open_upstream
from app.services.rooms_file import follow_rooms_file, read_rooms_file
from app.services.vips import Vips
from app.services.visits import Visits
from app.settings import Settings
from app.store import Store
from app.store.store import open_store
from app.tasks.service import TaskService, open_tasks
from app.tickets.identities import Identities
from app.tickets.keyring import REFRESH_S, KeyRing
from app.tickets.pass_keys import pass_key_secrets, pass_keys
from app.tickets.passes import Passes
from app.tickets.tickets import Tickets, ticket_keys

FIRST_LOOK_S = 5.0
"""How long a start waits at most for the first look at the store, which fails within a second where none answers."""


@dataclass
class Services:
    """One replica's parts, as the web layer gets them."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    store: Store
    ring: KeyRing
    """The keys of tickets."""
    pass_ring: KeyRing
    passes: Passes
    rooms: Rooms
    visits: Visits
    carrying: Carrying
    operator: Operator
    vips: Vips
    entries: Entries
    history: History
    guests: Guests
    sign_ins: SignIns
    housekeeping: Housekeeping
    replica_id: str
    """A random name of this process, for owner tokens and reports."""
    locks: LockService
    upstream: Upstream | None
    """Where the work under a lock is done; None: it is simulated."""
    tasks: TaskService
    draining: bool = False
    """Set when the replica is about to stop: `/readyz` fails, so that load balancers look elsewhere."""
    store_is_up: bool = False
    """Whether the last refresh reached the store."""
    looked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a refresh has reached the store, or has failed to."""

    @property
    def has_snapshot(self) -> bool:
        """Whether every room has been seen at least once, and tickets and passes can be signed."""
        return self.rooms.ready and self.ring.signing is not None and self.pass_ring.signing is not None


@asynccontextmanager
async def open_services(
    settings: Settings, *, clock: Clock | None = None, fragments: Mapping[str, str] | None = None
) -> AsyncIterator[Services]:
    """Build a replica's services, run their background loops, and close everything at the end.

    What the store knows is known here when the block begins: whoever is asked before takes ended visits for live ones,
    and those inside for waiting. The store need not be up yet. Tests hand in a `clock`, or script `fragments` such as their own `now`.

    Raises:
        ConfigError: the store's address cannot be used.
    """
    if settings.store_url is None:
        raise ValueError("settings without a store URL: start the embedded server first and pass its address")
    clock = clock or SystemClock()
    metrics = Metrics()
    replica_id = secrets.token_hex(6)
    async with AsyncExitStack() as stack:
        store = await open_store(stack, settings.store_url, metrics, fragments)
        secrets_given = (secret.get_secret_value().encode() for secret in settings.jwt_secret)
        ring = KeyRing(ticket_keys(settings.ticket_ttl), secrets_given, store, clock)
        pass_ring = _pass_ring(settings, store, clock)
        tickets = Tickets(ring, clock, deployment=settings.deployment, ttl_s=settings.ticket_ttl)
        passes = Passes(pass_ring, clock, deployment=settings.deployment)
        rooms = Rooms(declared_rooms(settings), store, clock, settings.refresh_interval)
        metrics.registry.register(RoomsCollector(rooms, clock))
        leader = Leader(replica_id, store, clock)
        tasks = open_tasks(stack, store, settings, metrics.tasks, replica_id, lambda: services.draining)
        visits = Visits(tickets, passes, clock)
        operator = Operator(rooms, store)
        services = Services(
            settings=settings,
            clock=clock,
            metrics=metrics,
            store=store,
            ring=ring,
            pass_ring=pass_ring,
            passes=passes,
            rooms=rooms,
            visits=visits,
            carrying=Carrying(visits, Offers(store)),
            operator=operator,
            vips=Vips(operator, store, clock),
            entries=Entries(passes, store, clock),
            history=History(rooms, store, lambda: leader.leading),
            guests=Guests(Identities(fetch_keys, clock), _pepper(settings), settings.ticket_ttl),
            sign_ins=SignIns(_admin_token(settings), settings.deployment, store, clock),
            housekeeping=Housekeeping(rooms, leader, lambda up: _note_outcome(services, up)),
            replica_id=replica_id,
            locks=open_locks(stack, settings, store, metrics, replica_id),
            upstream=open_upstream(stack, settings),
            tasks=tasks,
        )
        stack.push_async_callback(leader.retire)
        run_in_background(stack, "keys", lambda: _refresh_keys(ring))
        run_in_background(stack, "pass keys", lambda: _refresh_keys(pass_ring))
        run_in_background(stack, "housekeeping", services.housekeeping.run)
        run_in_background(stack, "history", services.history.run)
        run_in_background(stack, "task wake-ups", tasks.dispatcher.listen)
        run_in_background(stack, "task looks", tasks.dispatcher.look_now_and_then)
        run_in_background(stack, "task housekeeping", tasks.housekeeping.run)
        if settings.rooms_file is not None:
            path, base = settings.rooms_file, _seed(settings)
            run_in_background(stack, "rooms-file", lambda: follow_rooms_file(path, base, rooms))
        await _first_look(services)
        yield services


def declared_rooms(settings: Settings) -> dict[str, RoomSettings]:
    """The rooms that the environment and the rooms file declare.

    Raises:
        ConfigError: the file cannot be used.
    """
    base = _seed(settings)
    declared = dict.fromkeys(settings.rooms, base)
    if settings.rooms_file is not None:
        declared |= read_rooms_file(settings.rooms_file, base)
    return declared


def _pass_ring(settings: Settings, store: Store, clock: Clock) -> KeyRing:
    given = pass_key_secrets(settings.pass_key.get_secret_value()) if settings.pass_key else ()
    return KeyRing(pass_keys(settings.pass_algorithm, settings.pass_key_lead), given, store, clock)


def _pepper(settings: Settings) -> str:
    return settings.identity_pepper.get_secret_value() if settings.identity_pepper else ""


def _admin_token(settings: Settings) -> str | None:
    return settings.admin_token.get_secret_value() if settings.admin_token else None


def _seed(settings: Settings) -> RoomSettings:
    return RoomSettings(
        window_size=settings.window_size,
        window_interval_seconds=settings.window_interval,
        active_window_count=settings.active_window_count,
    )


async def _first_look(services: Services) -> None:
    """Wait until the store has told what it knows, or does not answer."""
    with suppress(TimeoutError, StanchionError):
        async with asyncio.timeout(FIRST_LOOK_S):
            await services.looked.wait()
            for ring in (services.ring, services.pass_ring):
                if services.store_is_up and ring.signing is None:
                    await ring.refresh()


def _note_outcome(services: Services, up: bool) -> None:
    services.store_is_up = up
    services.looked.set()
    services.metrics.store_up.set(up)


async def _refresh_keys(ring: KeyRing) -> None:
    while True:
        await ring.refresh()
        await asyncio.sleep(REFRESH_S)
