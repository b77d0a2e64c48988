"""Listening on a channel, over a connection that is checked and closed by its user."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from redis.exceptions import RedisClusterException, RedisError

from app.errors import StoreUnavailable
from app.store.store import Store

SILENCE_S = 2.0
"""After so much silence the server is asked whether it is still there; after as much again it is given up."""


class Subscription:
    """One channel. `run` listens until it fails or is cancelled; run it again to listen again."""

    def __init__(self, store: Store, channel: str, on_message: Callable[[str], None]) -> None:
        self._store = store
        self._channel = channel
        self._on_message = on_message
        self.listening = asyncio.Event()
        """Set while the server has confirmed the subscription: what is published from then on arrives."""

    async def run(self) -> None:
        """Subscribe, and hand every message to `on_message`.

        Raises:
            StoreUnavailable: the connection broke or fell silent.
        """
        try:
            client = self._store.blocking
            if self._store.is_cluster:  # redis-py's subscriptions neither learn the slots nor follow them
                await client.nodes_manager.initialize()
            pubsub = client.pubsub()
            try:
                await pubsub.subscribe(self._channel)
                await self._listen(pubsub)
            finally:
                self.listening.clear()
                with contextlib.suppress(RedisError, OSError):
                    await pubsub.aclose()
        except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
            raise StoreUnavailable from error

    async def _listen(self, pubsub: Any) -> None:
        asked = False
        while True:
            message = await pubsub.get_message(timeout=SILENCE_S)
            if message is None:
                if asked:
                    raise StoreUnavailable
                asked = True
                await pubsub.ping()
                continue
            asked = False
            if message["type"] == "subscribe":
                self.listening.set()
            elif message["type"] == "message":
                self._on_message(message["data"].decode())
