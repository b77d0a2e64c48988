"""Playing a crowd: all visitors at once in one process, watched, and cleared away afterwards."""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence

from app.simulate.crowd.caller import Caller, RunClock
from app.simulate.crowd.connections import Connections
from app.simulate.crowd.plan import Wish, plan_crowd
from app.simulate.crowd.record import End, Event, Recording
from app.simulate.crowd.site import site_at
from app.simulate.crowd.tally import Tally
from app.simulate.crowd.visit import Visit
from app.simulate.crowd.watching import Watcher, first_of

CLEARING_S = 15.0
"""How long leaving may take for all who are still there at the end."""
SHOW_EVERY_S = 0.25

Show = Callable[[float, Tally, Recording], None]
"""Is told the seconds of the run, how the crowd stands, and what is recorded so far."""


class Player:
    """One run of a crowd against one room."""

    def __init__(
        self,
        wish: Wish,
        room: str,
        urls: Sequence[str],
        *,
        token: str | None = None,
        connections: int = 512,
        sites: Sequence[str] = (),
    ) -> None:
        """
        Args:
            urls: the service's replicas; visitors are spread over them.
            token: the operator's, to know the room's limits.
            connections: how many may be open in all.
            sites: addresses behind the gate, where visitors begin; none: they go to the room itself.

        Raises:
            InvalidInput: a URL, the room's name or the token cannot be used.
        """
        addresses = len(urls) + len(sites)
        each = max(1, connections // addresses)
        self._pools = [Connections(url, each) for url in urls]
        self._sites = [site_at(url, each) for url in sites]
        self._watcher = Watcher(urls, room, token)
        self._room = room
        self.recording = Recording(
            wish, room, list(urls), plan_crowd(wish), connections=each * addresses, sites=list(sites)
        )
        self.tally = Tally(wish.visitors)
        self._visits: list[Visit] = []

    async def play(self, time_limit_s: float, stop: asyncio.Event, show: Show) -> Recording:
        """Play until everybody is through, the time is up, or `stop` is set.

        Raises:
            Unusable: there is no service or no such room.
        """
        recording = self.recording
        try:
            recording.limits, recording.no_limits_because = await self._watcher.limits()
            act_before = await self._watcher.last_act()
            clock, cpu_s = RunClock(), time.process_time()
            await self._play(clock, time_limit_s, stop, show)
            recording.took_s, recording.cpu_s = clock.now(), time.process_time() - cpu_s
            act_after = await self._watcher.last_act()
            if act_before is not None and act_after is not None:
                recording.operator_acted = act_after != act_before
        finally:
            self._watcher.close()
        return recording

    async def _play(self, clock: RunClock, time_limit_s: float, stop: asyncio.Event, show: Show) -> None:
        recording, run = self.recording, secrets.token_hex(6)
        for visitor in recording.visitors:
            caller = Caller(visitor, self._room, run, self._pools, clock, self._note, self._sites)
            self._visits.append(Visit(caller, clock))
        background = [
            asyncio.ensure_future(self._watcher.watch(clock, recording.samples)),
            asyncio.ensure_future(self._show(clock, show)),
        ]
        crowd = asyncio.ensure_future(self._live())
        try:
            done = await first_of(stop, crowd, time_limit_s)
            recording.ended = End.ALL_DONE if done else End.INTERRUPTED if stop.is_set() else End.TIME_LIMIT
        finally:
            for task in (crowd, *background):
                task.cancel()
            results = await asyncio.gather(crowd, *background, return_exceptions=True)
        for ear in filter(None, (visit.ear for visit in self._visits)):
            recording.heard += ear.heard
            recording.setbacks += ear.setbacks
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _live(self) -> None:
        async with asyncio.TaskGroup() as crowd:
            for visit in self._visits:
                crowd.create_task(visit.live())

    def _note(self, event: Event) -> None:
        self.recording.events.append(event)
        self.tally.note(event)

    async def _show(self, clock: RunClock, show: Show) -> None:
        while True:
            show(clock.now(), self.tally, self.recording)
            await asyncio.sleep(SHOW_EVERY_S)

    async def clear_away(self) -> int:
        """Let everybody who is still in line or inside leave, so that no ghosts stay behind; how many could not."""
        left = [visit.caller for visit in self._visits if not visit.over and visit.caller.has_place]
        clock, gone = RunClock(), 0

        def note(event: Event) -> None:
            nonlocal gone
            gone += event.http == 204

        async def leave(caller: Caller) -> None:
            caller.hand_events_to(note, clock)
            await caller.leave(0.0)

        try:
            async with asyncio.timeout(CLEARING_S):
                await asyncio.gather(*(leave(caller) for caller in left))
        except TimeoutError:
            pass
        finally:
            self.close()
        return len(left) - gone

    def close(self) -> None:
        """Hang up."""
        for pool in (*self._pools, *(site.pool for site in self._sites)):
            pool.close()
