"""Driving room scripts directly, on a clock that the test moves."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from app.rooms.marks import Marks
from app.rooms.rooms import SCRIPTS
from app.rooms.settings import RoomSettings
from app.rooms.snapshot import Snapshot, merge, parse_look
from app.store import keys

NOW_KEY = "stanchion:test:now"
NOW_FROM_KEY = {"now": f"local function now_ms() return tonumber(redis.call('GET', '{NOW_KEY}')) end\n"}
HEAL_MS = 500


@cache
def _rendered(script: str, fragments: tuple[tuple[str, str], ...]) -> str:
    """The machines run each script thousands of times."""
    return SCRIPTS[script].render(dict(fragments))


class ScriptedRoom:
    """One room on a real server, its scripts run with the test's own time."""

    def __init__(self, client: Any, name: str = "default", now_ms: int = 1_700_000_000_000) -> None:
        self.client = client
        self.name = name
        self.now_ms = now_ms
        self.fragments = dict(NOW_FROM_KEY)
        """Parts of the scripts that the test replaces."""
        self._operation = 0
        self.marks = Marks()
        self._keys = keys.room_keys(name)
        self._audited = {**self._keys, "audit": keys.room_audit(name)}

    def run(self, script: str, keys: dict[str, Any], args: dict[str, Any]) -> Any:
        self.client.set(NOW_KEY, self.now_ms, ex=600)
        text = _rendered(script, tuple(self.fragments.items()))
        return self.client.eval(text, *SCRIPTS[script].pack(keys, args))

    def declare(self, settings: RoomSettings, *, heal: bool = False) -> None:
        self.run(
            "declare",
            self._keys,
            {"seed": settings.digest(), "epoch": 1, "heal_ms": HEAL_MS, **settings.script_args()},
        )
        if not heal:
            self.now_ms += HEAL_MS
            self.tick()

    def configure(self, settings: RoomSettings) -> None:
        version = int(self.client.hget(self._keys["state"], "settings_version"))
        args = {"expected_version": version, "who": "test", "before": "null", "after": "null", **settings.script_args()}
        assert self.run("configure", self._audited, args)[0] == 0

    def control(self, verb: str, expected_epoch: int = 0, count: int = 0) -> list[Any]:
        args = {"verb": verb, "expected_epoch": expected_epoch, "who": "test", "count": count, "continues": ""}
        reply: list[Any] = self.run("control", self._audited, args)
        return reply

    def enter(self, epoch: int, position: int, until_run_ms: int = 0) -> list[Any]:
        """What the script answers one visitor: `[0, now, started, ends, last end, seq]`, or the refusal."""
        return self._one("enter", [epoch, position, until_run_ms])

    def renew(self, epoch: int, position: int) -> list[Any]:
        """As `enter`."""
        return self._one("renew", [epoch, position])

    def _one(self, script: str, visitor: list[int]) -> list[Any]:
        reply = self.run(script, self._keys, {"heal_ms": HEAL_MS, "visitors": visitor})
        if reply[0] != 0:
            return list(reply)
        _, now_ms, *part = reply
        if part[0] == 0:
            return [0, now_ms, *part[1:]]
        return [number for number in part if number != 0]

    def walk_in(self, count: int, length_ms: int) -> list[Any]:
        """What the script answers newcomers."""
        reply: list[Any] = self.run("walk_in", self._keys, {"heal_ms": HEAL_MS, "count": count, "length_ms": length_ms})
        return reply

    def leave(self, epoch: int, position: int) -> list[Any]:
        """`[0, how many were there to leave, seq]`, or the refusal."""
        reply = self.end(epoch, [position])
        return list(reply) if reply[0] != 0 else [0, len(reply) - 3, reply[2]]

    def end(self, epoch: int, positions: Sequence[int], who: str = "", bar_ms: int = 0) -> list[Any]:
        """What the script answers whoever ends visits, and revokes them with `bar_ms`."""
        args = {"heal_ms": HEAL_MS, "epoch": epoch, "who": who, "bar_ms": bar_ms, "positions": positions}
        reply: list[Any] = self.run("leave", {**self._audited, "barred": keys.room_barred(self.name)}, args)
        return reply

    def seen(self, epoch: int, position: int, told_ms: int) -> list[Any]:
        reply: list[Any] = self.run("seen", self._keys, {"epoch": epoch, "sightings": [position, told_ms]})
        return reply

    def join(self, count: int, operation: str | None = None) -> list[Any]:
        """What the script answers up to the end of the turn; `join_all` has the rest."""
        return self.join_all(count, operation)[:7]

    def join_as(self, person: str, ticket_id: str) -> list[Any]:
        """One join of somebody whose identity is known."""
        return self.join_all(1, special=[(keys.room_identity(self.name, person), (0, ticket_id, 600_000, 1, 0))])

    def join_all(
        self,
        count: int,
        operation: str | None = None,
        told_ms: int = 60_000,
        special: Sequence[tuple[str, tuple[int | str, ...]]] = (),
    ) -> list[Any]:
        """The whole answer; `special` has a key and its visitor's arguments, as join.lua takes them."""
        self._operation += 1
        reply: list[Any] = self.run(
            "join",
            {
                **self._keys,
                "operation": keys.room_operation(self.name, operation or f"op{self._operation}"),
                "barred": keys.room_barred(self.name),
                "special": [key for key, _ in special],
            },
            {
                "count": count,
                "heal_ms": HEAL_MS,
                "operation_ttl_ms": 10_000,
                "address_window_ms": 60_000,
                "told_ms": told_ms,
                "special": [item for _, visitor in special for item in visitor],
            },
        )
        return reply

    def tick(self, known: Snapshot | None = None, late_ms: int = -1) -> Snapshot:
        return self._look("tick", known, {"heal_ms": HEAL_MS, "late_ms": late_ms, "run_id": ""})

    def observe(self, known: Snapshot | None = None) -> Snapshot:
        return self._look("observe", known, {})

    def _look(self, script: str, known: Snapshot | None, args: dict[str, Any]) -> Snapshot:
        reply = self.run(
            script,
            {**self._keys, "barred": keys.room_barred(self.name)},
            {
                "known_settings_version": 0,
                "known_edge": known.window_edges[-1] if known and known.window_edges else 0,
                "known_log": self.marks.log_cursor if known else 0,
                "known_done": self.marks.done_cursor if known else 0,
                "known_bar": 0,
                **args,
            },
        )
        assert reply[0] == 0
        look = parse_look(self.name, [item.encode() if isinstance(item, str) else item for item in reply])
        seen = look.snapshot
        self.marks.take(seen, look.log, look.done)
        merged, behind = merge(known, seen, (0, 0))
        assert not behind
        return merged
