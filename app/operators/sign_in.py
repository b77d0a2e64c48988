"""Signing in, staying signed in, signing out.

A session is checked by its signature alone, but for one question to the store: whether it was signed out. While the
store is away that question is left out and tries to sign in are counted by each replica for itself: an outage is when
an operator must be able to look, and nothing can be changed as long as it lasts.
"""

import asyncio
import hmac
from collections import deque
from pathlib import Path

from app.clock import Clock
from app.errors import SignInRefused, StoreUnavailable, TooManyTries
from app.operators.sessions import OperatorSession, csrf_token, new_session, seal, session_key, unseal
from app.store import Store, keys, load_scripts

SCRIPTS = load_scripts(Path(__file__).parent / "lua")

MOST_TRIES = 10
"""Wrong tokens that one address may send within the window."""
WINDOW_S = 300.0


class SignIns:
    """The dashboard's doorkeeper on one replica."""

    def __init__(self, admin_token: str | None, deployment: str, store: Store, clock: Clock) -> None:
        self._admin_token = admin_token
        self._deployment = deployment
        self._store = store
        self._clock = clock
        self._key: bytes | None = None
        self._tries_while_away: deque[float] = deque(maxlen=MOST_TRIES)

    @property
    def set_up(self) -> bool:
        """Whether there is a token to sign in with."""
        return self._admin_token is not None

    async def sign_in(self, token: str, name: str, address: str) -> str:
        """Check the admin token and begin a session.

        Args:
            token: what was typed.
            name: what the operator calls themselves.
            address: where they come from; tries are counted for each.

        Returns:
            The cookie's value.

        Raises:
            SignInRefused: the token is wrong.
            TooManyTries: this address has tried too often; even the right token is not looked at now.
        """
        await self._count_try(address)
        if self._admin_token is None or not hmac.compare_digest(token.encode(), self._admin_token.encode()):
            raise SignInRefused("That is not the admin token.")
        await self._forget_tries(address)
        return seal(new_session(name, self._clock.unix_s()), await self._session_key())

    async def session(self, cookie: str) -> OperatorSession | None:
        """The live session that a cookie's value stands for; None when there is none."""
        if self._admin_token is None:
            return None
        session = unseal(cookie, await self._session_key(), self._clock.unix_s())
        return session if session is not None and await self.still_on(session) else None

    async def still_on(self, session: OperatorSession) -> bool:
        """Whether a session that was once accepted has neither ended nor been signed out."""
        if session.ends_s <= self._clock.unix_s():
            return False
        client = self._store.client
        try:
            return not await self._store.command(lambda: client.exists(keys.operator_signed_out(session.session_id)))
        except StoreUnavailable:
            return True

    async def csrf_token(self, session: OperatorSession) -> str:
        """The token that requests of this session's own pages carry."""
        return csrf_token(session, await self._session_key())

    async def sign_out(self, session: OperatorSession) -> None:
        """End a session on every replica.

        Raises:
            StoreUnavailable: the other replicas cannot be told; it goes on.
        """
        left_s = max(1, round(session.ends_s - self._clock.unix_s()))
        client = self._store.client
        await self._store.command(lambda: client.set(keys.operator_signed_out(session.session_id), 1, ex=left_s))

    async def _session_key(self) -> bytes:
        if self._key is None:
            self._key = await asyncio.to_thread(session_key, self._admin_token or "", self._deployment)
        return self._key

    async def _count_try(self, address: str) -> None:
        try:
            tries, left_ms = await self._store.run(
                SCRIPTS["try"], {"tries": keys.operator_tries(address)}, {"window_ms": int(WINDOW_S * 1000)}
            )
        except StoreUnavailable:
            tries, left_ms = self._count_try_here()
        if tries > MOST_TRIES:
            raise TooManyTries(
                "Too many tries to sign in from this address; wait for a while.", retry_after_s=left_ms / 1000
            )

    def _count_try_here(self) -> tuple[int, float]:
        """The same without the store: all addresses share one allowance."""
        now_s, tries = self._clock.monotonic_s(), self._tries_while_away
        while tries and now_s - tries[0] > WINDOW_S:
            tries.popleft()
        if len(tries) == MOST_TRIES:
            return MOST_TRIES + 1, (tries[0] + WINDOW_S - now_s) * 1000
        tries.append(now_s)
        return len(tries), 0.0

    async def _forget_tries(self, address: str) -> None:
        client = self._store.client
        try:
            await self._store.command(lambda: client.delete(keys.operator_tries(address)))
        except StoreUnavailable:
            self._tries_while_away.clear()
