"""Signing in, staying signed in, signing out.

A session is checked by its signature alone, but for one question to the store: whether it was signed out. While the
store is away that question is left out: an outage is when an operator must be able to look, and nothing can be changed
as long as it lasts.
"""

import asyncio
import hmac

from app.clock import Clock
from app.errors import SignInRefused, StoreUnavailable
from app.operators.sessions import OperatorSession, csrf_token, new_session, seal, session_key, unseal
from app.operators.tries import Tries
from app.store import Store, keys


class SignIns:
    """The dashboard's doorkeeper on one replica."""

    def __init__(self, admin_token: str | None, deployment: str, store: Store, clock: Clock) -> None:
        self._admin_token = admin_token
        self._deployment = deployment
        self._store = store
        self._clock = clock
        self._key: bytes | None = None
        self.tries = Tries(store, clock)
        """Of the admin token, here and wherever else it opens something."""

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
        await self.tries.count(address)
        if self._admin_token is None or not hmac.compare_digest(token.encode(), self._admin_token.encode()):
            raise SignInRefused("That is not the admin token.")
        await self.tries.forget(address)
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
