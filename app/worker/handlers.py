"""What a worker can do: functions registered by the type of task they handle."""

import importlib
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from app.errors import ConfigError


@dataclass(frozen=True)
class Task:
    """A task as a handler gets it."""

    id: str
    type: str
    payload: Any
    attempts: int
    """How many times it has been handed out, this time included."""
    retries: int
    """How many times it has failed before."""
    queue: str
    lease_token: str


class GiveUp(Exception):
    """Raise it in a handler when another try makes no sense: the task goes straight to the dead letters."""


class TryLater(Exception):
    """Raise it in a handler to be tried again after `seconds`; it counts as a failure."""

    def __init__(self, seconds: float, message: str = "to be tried later") -> None:
        super().__init__(message)
        self.seconds = seconds


Function = Callable[[Task], Any] | Callable[[Task], Awaitable[Any]]
F = TypeVar("F", bound=Function)


@dataclass(frozen=True)
class Handler:
    """A registered function."""

    function: Function
    time_limit_s: float | None
    """A task that takes longer has failed; None: no limit."""


class Handlers:
    """A worker's handlers.

    Make one in a module of yours and name it to the worker as `--handlers your.module:name`:

        work = Handlers()

        @work.handles("email", time_limit_s=30)
        def send_email(task):
            return {"sent": True, "to": task.payload["to"]}
    """

    def __init__(self) -> None:
        self._by_type: dict[str, Handler] = {}

    def handles(self, *types: str, time_limit_s: float | None = None) -> Callable[[F], F]:
        """Register the decorated function, sync or async, for these types; `*` takes what no other does."""

        def register(function: F) -> F:
            for type_ in types:
                if type_ in self._by_type:
                    raise ValueError(f"there is a handler for {type_!r} already")
                self._by_type[type_] = Handler(function, time_limit_s)
            return function

        return register

    @property
    def by_type(self) -> Mapping[str, Handler]:
        """Every handler by its type."""
        return self._by_type

    def types(self) -> tuple[str, ...]:
        """What to ask the queue for: empty (any) when `*` is handled."""
        return () if "*" in self._by_type else tuple(sorted(self._by_type))

    def find(self, type_: str) -> Handler | None:
        """The handler for a type."""
        return self._by_type.get(type_) or self._by_type.get("*")


def load_handlers(name: str) -> Handlers:
    """The `Handlers` that `package.module:attribute` names; the present folder is searched too.

    Raises:
        ConfigError: there is no such module or attribute, or it is something else.
    """
    module_name, colon, attribute = name.partition(":")
    if not colon:
        raise ConfigError([f"--handlers: {name!r} should be like your.module:work"])
    sys.path.insert(0, os.getcwd())  # noqa: PTH109  # sys.path holds strings
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError([f"--handlers: cannot load {name}: {error}"]) from error
    finally:
        sys.path.pop(0)
    if not isinstance(found, Handlers):
        raise ConfigError([f"--handlers: {name} is a {type(found).__name__}, not a Handlers"])
    return found
