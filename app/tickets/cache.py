"""A bounded memory of verified tokens: two generations, so that a hit costs one look-up and no reordering."""

from collections.abc import Callable, Iterable
from typing import Any, Generic, Protocol, TypeVar

from app.clock import Clock


class Expiring(Protocol):
    """What a token says: a named tuple that ends at some time."""

    @property
    def expires_s(self) -> int:
        """Its end, in Unix seconds."""

    def __iter__(self) -> Any: ...


T = TypeVar("T", bound=Expiring)


class VerifiedTokens(Generic[T]):
    """What tokens say that have been verified before: the hot path's first question.

    At least the last `size / 2` tokens that were used are remembered, and never more than `size`.
    """

    def __init__(self, size: int, make: Callable[[Iterable[Any]], T], clock: Clock) -> None:
        self._half = max(1, size // 2)
        # Plain tuples of plain values, which the garbage collector leaves alone: it would walk over all of them again
        # and again, and keep everybody waiting meanwhile.
        self._young: dict[bytes, tuple[Any, ...]] = {}
        self._old: dict[bytes, tuple[Any, ...]] = {}
        self._make = make
        self._clock = clock

    def get(self, token: bytes) -> T | None:
        """What the token says, if it is remembered and has not expired."""
        known = self._young.get(token)
        if known is None:
            known = self._old.get(token)
            if known is None:
                return None
            self._keep(token, known)
        said = self._make(known)
        return said if said.expires_s > self._clock.unix_s() else None

    def put(self, token: bytes, said: T) -> None:
        """Remember what a token says."""
        self._keep(token, tuple(said))

    def _keep(self, token: bytes, known: tuple[Any, ...]) -> None:
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[token] = known
