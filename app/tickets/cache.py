"""A bounded memory of verified tokens: two generations, so that a hit costs one look-up and no reordering."""

from collections.abc import Callable, Iterable
from typing import Any, Generic, Protocol, TypeVar

from app.clock import Clock

K = TypeVar("K")
V = TypeVar("V")


class GenerationalCache(Generic[K, V]):
    """Keeps at least the last `size / 2` entries used, and never more than `size`."""

    def __init__(self, size: int) -> None:
        self._half = max(1, size // 2)
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """The value, if it is remembered."""
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: K, value: V) -> None:
        """Remember a value; the older generation goes once the younger is full."""
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[key] = value

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


class Expiring(Protocol):
    """What a token says: a named tuple that ends at some time."""

    @property
    def expires_s(self) -> int:
        """Its end, in Unix seconds."""

    def __iter__(self) -> Any: ...


T = TypeVar("T", bound=Expiring)


class VerifiedTokens(Generic[T]):
    """What tokens say that have been verified before: the hot path's first question."""

    def __init__(self, size: int, make: Callable[[Iterable[Any]], T], clock: Clock) -> None:
        # Plain tuples of plain values, which the garbage collector leaves alone: it would walk over all of them again
        # and again, and keep everybody waiting meanwhile.
        self._known: GenerationalCache[bytes, tuple[Any, ...]] = GenerationalCache(size)
        self._make = make
        self._clock = clock

    def get(self, token: bytes) -> T | None:
        """What the token says, if it is remembered and has not expired."""
        known = self._known.get(token)
        if known is None:
            return None
        said = self._make(known)
        return said if said.expires_s > self._clock.unix_s() else None

    def put(self, token: bytes, said: T) -> None:
        """Remember what a token says."""
        self._known.put(token, tuple(said))
