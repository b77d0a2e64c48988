"""One visitor's behaviour: joining, asking as often as told, taking up the turn or missing it, leaving."""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf

from app.simulate.crowd.caller import Caller, RunClock
from app.simulate.crowd.journeys import NOT_YET
from app.simulate.crowd.listening import Ear
from app.simulate.crowd.plan import Kind
from app.simulate.crowd.record import HELD, IN_LINE, Act, Event

LATE_BY_S = 1.0
"""How long after the end of the turn a late visitor comes back."""
FORGOTTEN_S = 4.0
"""How long after leaving the old pass is tried once more: by then every replica knows."""
RENEWING = 0.6
"""Through this part of a session the site is asked for again: in the second half of a pass the gate prolongs it."""


class Visit:
    """A visitor of the plan, brought to life."""

    def __init__(self, caller: Caller, clock: RunClock) -> None:
        self.caller = caller
        self._visitor = caller.visitor
        self._clock = clock
        gives_up = self._visitor.kind in (Kind.IMPATIENT, Kind.LEAVING)
        self._gives_up_s = self._visitor.arrives_s + self._visitor.patience_s if gives_up else inf
        self._to_miss = self._visitor.kind is Kind.LATE
        self._missed = False
        self._polls = 0
        self.ear = Ear(caller, clock) if self._visitor.listens else None
        self.over = False

    async def live(self) -> None:
        """From arriving to the end of the visit; only being cancelled ends it sooner."""
        await self._clock.until(self._visitor.arrives_s)
        try:
            answer = await self._arrive()
            while answer is not None:
                answer = await self._next(answer)
        finally:
            self._listen_no_more()
        self.over = True

    async def _arrive(self) -> Event | None:
        """Take a place; through the gate, after having been led to the line, or be let straight in."""
        if not self.caller.at_gate:
            return await self._join(self._visitor.arrives_s)
        knocked = await self._until_answered(self.caller.open_site, self._visitor.arrives_s)
        if knocked is None or knocked.status != HELD:
            return knocked
        if self.caller.led_here:
            await self.caller.open_page(self._clock.now())
        return await self._join(self._clock.now())

    async def _next(self, answer: Event) -> Event | None:
        """What follows from an answer; None when the visit is over."""
        if answer.status in IN_LINE or answer.status == NOT_YET:
            return await self._in_line(answer)
        self._listen_no_more()
        if answer.status == "active":
            return await self._miss(answer) if self._to_miss else await self._enter(answer)
        if answer.status == "entered":
            return await self._inside(answer)
        if answer.status == "reset" or (self._to_miss and self._missed and answer.status in ("expired", "closed")):
            self._to_miss = False
            return await self._join(self._clock.now())
        return None

    def _listen_no_more(self) -> None:
        if self.ear is not None:
            self.ear.close()

    async def _join(self, due_s: float) -> Event | None:
        tries = 0

        async def once(at_s: float) -> Event:
            nonlocal tries
            tries += 1
            return await self.caller.join(at_s, again=tries > 1)

        return await self._until_answered(once, due_s)

    async def _in_line(self, answer: Event) -> Event | None:
        due_s = answer.got_s + answer.poll_s
        if self.ear is not None:
            due_s = await self.ear.when_to_ask(answer, self._gives_up_s)
        if due_s >= self._gives_up_s:
            return await self._give_up()
        await self._clock.until(due_s)
        self._polls += 1
        if self._visitor.kind is Kind.RELOADING and self._polls % self._visitor.reload_every == 0:
            return await self._reload(due_s)
        return await self._until_answered(self.caller.status, due_s)

    async def _reload(self, due_s: float) -> Event | None:
        async with asyncio.TaskGroup() as second_tab:
            second_tab.create_task(self.caller.tab(due_s))
            if self.caller.at_gate:  # perhaps there is a way around the line
                second_tab.create_task(self.caller.open_site(due_s))
            return await self._until_answered(self.caller.reload, due_s)

    async def _give_up(self) -> Event | None:
        await self._clock.until(self._gives_up_s)
        if self._visitor.kind is Kind.LEAVING and self.caller.token:
            self._gives_up_s = inf
            await self._until_answered(self.caller.leave, self._clock.now())
        else:
            self.caller.give_up()
        return None

    async def _miss(self, answer: Event) -> Event | None:
        self._missed = True
        due_s = answer.got_s + answer.left_s + LATE_BY_S
        await self._clock.until(due_s)
        return await self._until_answered(self.caller.status, due_s)

    async def _enter(self, answer: Event) -> Event | None:
        self._gives_up_s = inf
        due_s = answer.got_s + min(self._visitor.reaction_s, answer.left_s / 4)
        await self._clock.until(due_s)
        return await self._until_answered(self.caller.enter, due_s)

    async def _inside(self, answer: Event) -> Event | None:
        if answer.act not in (Act.ENTER, Act.GATE):  # the answer to entering was lost: entering again tells the session
            return await self._until_answered(self.caller.enter, self._clock.now())
        self._gives_up_s = inf
        leaves_s = answer.got_s + self._visitor.stay_s
        renew, part = self.caller.renew, 0.5
        if self.caller.at_gate:  # browsers prolong a session by using the site
            renew, part = self.caller.open_site, RENEWING
            used = await self._until_answered(renew, answer.got_s)
            answer = used if used is not None and used.told else answer
        while (ends_s := answer.got_s + answer.left_s) < leaves_s:
            due_s = answer.got_s + answer.left_s * part
            await self._clock.until(due_s)
            renewed = await self._until_answered(renew, due_s)
            if renewed is None or not renewed.told or renewed.got_s + renewed.left_s <= ends_s:
                break  # over, or as long as it may be; at the gate an answer without a new pass prolongs nothing
            answer = renewed
        await self._clock.until(min(leaves_s, ends_s))
        left = await self._until_answered(self.caller.leave, min(leaves_s, ends_s))
        if self.caller.at_gate and left is not None:
            await self._clock.until(left.got_s + FORGOTTEN_S)
            await self.caller.fetch_site(left.got_s + FORGOTTEN_S)
        return None

    async def _until_answered(self, call: Callable[[float], Awaitable[Event]], due_s: float) -> Event | None:
        """Ask until there is an answer that says something; None when the visitor has had enough, or is sent away."""
        while True:
            answer = await call(due_s)
            if answer.status == "turned-away":
                return None
            if answer.status == HELD or (200 <= answer.http < 500 and answer.http != 429):
                return answer
            due_s = answer.got_s + answer.poll_s
            if due_s >= self._gives_up_s:
                return await self._give_up()
            await self._clock.until(due_s)
