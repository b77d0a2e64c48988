"""How one visitor speaks to the room: requests out, answers written down as events."""

import asyncio
import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from app.simulate.crowd.connections import Answer, Connections, NoAnswer
from app.simulate.crowd.plan import Kind, Visitor
from app.simulate.crowd.record import Act, Event
from app.simulate.crowd.site import FETCHING, OPENING, Site, judged
from app.simulate.crowd.stream import Stream

RETRY_S = 1.0
"""Without a `Retry-After`."""
LONGEST_RETRY_S = 5.0
"""Between two tries to reach a service that does not answer."""


class RunClock:
    """Seconds since the run began, on the event loop's clock."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._start_s = self._loop.time()

    def now(self) -> float:
        """Seconds of the run."""
        return self._loop.time() - self._start_s

    def of(self, loop_s: float) -> float:
        """Seconds of the run at a moment of the loop."""
        return loop_s - self._start_s

    async def until(self, at_s: float) -> None:
        """Sleep until that second of the run."""
        await asyncio.sleep(max(0.0, at_s - self.now()))


class Caller:
    """One visitor's ticket, cookies and replica. An address that does not answer is left for the next one.

    Who comes through the gate is a browser: all it has are its cookies.
    """

    def __init__(
        self,
        visitor: Visitor,
        room: str,
        run: str,
        pools: Sequence[Connections],
        clock: RunClock,
        note: Callable[[Event], None],
        sites: Sequence[Site] = (),
    ) -> None:
        """
        Args:
            run: a name of this run alone, so that its idempotency keys meet no other run's.
            note: is handed every event.
            sites: where the visitor comes through the gate; none: to the room itself.
        """
        self.visitor = visitor
        self.token = b""
        self.at_gate = bool(sites)
        self._sites = sites
        self._led_to = b""
        self._cookies: dict[bytes, bytes] = {}
        self._browser = self.at_gate or visitor.kind is Kind.RELOADING
        self._room = room
        self._path = b"/rooms/" + room.encode()
        self._run = run
        self._joins = 0
        self._pools = pools
        self._via = visitor.number
        self._clock = clock
        self._note = note
        self._random = Random(visitor.number)
        self._failures = 0

    def hand_events_to(self, note: Callable[[Event], None], clock: RunClock) -> None:
        """From now on, tell somebody else: the run is over."""
        self._note, self._clock = note, clock

    @property
    def led_here(self) -> bool:
        """Whether the gate has led to a page on the site's own host, whose cookies come back to the site."""
        return self._site.path_to(self._led_to) is not None

    @property
    def has_place(self) -> bool:
        """Whether there may be something to give back."""
        return bool(self.token or self._cookies)

    async def join(self, due_s: float, *, again: bool) -> Event:
        """Ask for a new place. `again` repeats a try whose outcome is not known; it cannot give a second place."""
        if not again:
            self._joins += 1
        key = f"Idempotency-Key: {self._run}-{self.visitor.number}-{self._joins}\r\n".encode()
        return await self._ask_room(Act.JOIN, b"POST", b"/join", key + self._from_page(), due_s)

    async def status(self, due_s: float) -> Event:
        """Ask how the place stands."""
        return await self._ask_room(Act.STATUS, b"GET", b"/status", self._ticket(), due_s)

    async def reload(self, due_s: float) -> Event:
        """Join once more with the ticket one has, as a cookie where the service gave one."""
        headers = self._jar() + self._from_page() if self._cookies else self._ticket()
        return await self._ask_room(Act.RELOAD, b"POST", b"/join", headers, due_s)

    async def tab(self, due_s: float) -> Event:
        """Ask from a second tab."""
        return await self._ask_room(Act.TAB, b"GET", b"/status", self._jar() or self._ticket(), due_s)

    async def enter(self, due_s: float) -> Event:
        """Take up the turn."""
        return await self._ask_room(Act.ENTER, b"POST", b"/enter", self._ticket(), due_s)

    async def renew(self, due_s: float) -> Event:
        """Prolong the session."""
        return await self._ask_room(Act.RENEW, b"POST", b"/renew", self._ticket(), due_s)

    async def leave(self, due_s: float) -> Event:
        """Give back whatever one holds."""
        return await self._ask_room(Act.LEAVE, b"POST", b"/leave", self._ticket(), due_s)

    async def open_site(self, due_s: float) -> Event:
        """Open a page of the site."""
        return await self._ask_site(Act.GATE, OPENING, due_s)

    async def fetch_site(self, due_s: float) -> Event:
        """Fetch something of the site, as a script of its page does: nobody is let straight in that way."""
        return await self._ask_site(Act.GATE, FETCHING, due_s)

    async def open_page(self, due_s: float) -> Event:
        """Open the waiting page where the gate has led to; `led_here` says whether there is one on the site's host."""
        return await self._ask_site(Act.PAGE, OPENING, due_s)

    async def listen(self, hear: Callable[[dict[str, Any]], None], ended: Callable[[Stream], None]) -> Stream:
        """Open a stream of the room's news.

        Raises:
            NoAnswer: nobody is there.
        """
        pool = self._pools[self._via % len(self._pools)]
        return await pool.listen(self._path + b"/events", b"Accept: text/event-stream\r\n", hear, ended)

    def note_stream(self, began_s: float, http: int) -> None:
        """A stream was opened, or refused, or (0) not answered."""
        self._note(Event(self.visitor.number, Act.LISTEN, began_s, began_s, self._clock.now(), http))

    def give_up(self) -> None:
        """Close the page without a word."""
        now_s = self._clock.now()
        self._note(Event(self.visitor.number, Act.GIVE_UP, now_s, now_s, now_s, 0))

    def _ticket(self) -> bytes:
        if self.at_gate:
            return self._jar() + self._from_page()
        return b"Authorization: Bearer " + self.token + b"\r\n"

    def _jar(self) -> bytes:
        if not self._cookies:
            return b""
        return b"Cookie: " + b"; ".join(b"%b=%b" % item for item in self._cookies.items()) + b"\r\n"

    def _from_page(self) -> bytes:
        """What a browser adds on the service's own page; only then it is given a cookie."""
        if not self._browser:
            return b""
        origin = self._pools[self._via % len(self._pools)].origin
        return b"Origin: " + origin.encode() + b"\r\nSec-Fetch-Site: same-origin\r\n"

    async def _ask_room(self, act: Act, method: bytes, path: bytes, headers: bytes, due_s: float) -> Event:
        pool = self._pools[self._via % len(self._pools)]
        return await self._ask(act, pool, method, self._path + path, headers, due_s)

    async def _ask_site(self, act: Act, headers: bytes, due_s: float) -> Event:
        site = self._site
        path = site.path_to(self._led_to) if act is Act.PAGE else site.path
        return await self._ask(act, site.pool, b"GET", path or b"/", headers + self._jar(), due_s)

    @property
    def _site(self) -> Site:
        return self._sites[self._via % len(self._sites)]

    async def _ask(
        self, act: Act, pool: Connections, method: bytes, path: bytes, headers: bytes, due_s: float
    ) -> Event:
        began_s = self._clock.now()
        try:
            answer = await pool.request(method, path, headers)
        except NoAnswer as error:
            self._via += 1
            self._failures += 1
            retry_s = min(LONGEST_RETRY_S, 0.5 * 2**self._failures) * self._random.uniform(0.5, 1.0)
            event = Event(self.visitor.number, act, due_s, began_s, self._clock.now(), 0, error.kind, poll_s=retry_s)
        else:
            self._failures = 0
            event = self._read(act, due_s, began_s, answer)
        self._note(event)
        return event

    def _read(self, act: Act, due_s: float, began_s: float, answer: Answer) -> Event:
        """An answer as an event; the ticket and the cookie in it are kept."""
        sent_s = self._clock.of(answer.sent_s)
        bare = Event(
            self.visitor.number, act, due_s, sent_s, self._clock.now(), answer.status, queued_s=sent_s - began_s
        )
        if answer.status == 204:
            return bare._replace(status="ended")
        self._keep_cookies(answer.cookies)
        if act is Act.PAGE:
            return bare
        try:
            if act is Act.GATE:
                led_to = answer.headers.get(b"x-waiting-room-location") or answer.headers.get(b"location", b"")
                self._led_to = led_to
                return bare._replace(**judged(answer, self._room), poll_s=self._told_to_wait_s(answer.headers))
            content: Any = json.loads(answer.body)
            if answer.status != 200:
                return self._refused(bare, content, answer.headers)
            self.token = str(content.get("token") or "").encode() or self.token
            if act in (Act.ENTER, Act.RENEW):
                return bare._replace(
                    status=content["status"],
                    epoch=content["epoch"],
                    position=content["position"],
                    left_s=content["endsInSeconds"],
                )
            return bare._replace(
                status=content["status"],
                epoch=content["epoch"],
                position=content["position"],
                ahead=content["ahead"],
                low_s=content["estimatedWaitLowSeconds"],
                high_s=content["estimatedWaitHighSeconds"],
                poll_s=content["pollAfterSeconds"],
                left_s=content.get("activeForSeconds") or 0.0,
                stale=content["stale"],
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return bare._replace(http=answer.status if answer.status != 200 else 0, status="unreadable", poll_s=RETRY_S)

    def _refused(self, bare: Event, content: dict[str, Any], headers: dict[bytes, bytes]) -> Event:
        kind = str(content.get("visitStatus") or str(content.get("type", "")).rpartition(":")[2])
        return bare._replace(status=kind, poll_s=self._told_to_wait_s(headers))

    def _told_to_wait_s(self, headers: dict[bytes, bytes]) -> float:
        """As told, and a little more, so that not everybody comes back in the same moment."""
        told = headers.get(b"retry-after", b"")
        return (float(told) if told.isdigit() else RETRY_S) * self._random.uniform(1.0, 1.3)

    def _keep_cookies(self, cookies: tuple[bytes, ...]) -> None:
        """As a browser does; but what is taken back is kept, as by somebody who wants to go on with it."""
        for cookie in cookies:
            name, _, value = cookie.partition(b"=")
            if value:
                self._cookies[name] = value
