"""Driving room scripts directly, on a clock that the test moves."""

from typing import Any

from app.rooms.rooms import SCRIPTS
from app.rooms.settings import RoomSettings
from app.rooms.snapshot import Snapshot, merge, parse_snapshot
from app.store import keys

NOW_KEY = "stanchion:test:now"
NOW_FROM_KEY = {"now": f"local function now_ms() return tonumber(redis.call('GET', '{NOW_KEY}')) end\n"}
HEAL_MS = 500


class ScriptedRoom:
    """One room on a real server, its scripts run with the test's own time."""

    def __init__(self, client: Any, name: str = "default", now_ms: int = 1_700_000_000_000) -> None:
        self.client = client
        self.name = name
        self.now_ms = now_ms
        self._operation = 0
        self._keys = {"state": keys.room_state(name), "windows": keys.room_windows(name)}

    def run(self, script: str, keys: dict[str, Any], args: dict[str, Any]) -> Any:
        self.client.set(NOW_KEY, self.now_ms, ex=600)
        found = SCRIPTS[script]
        return self.client.eval(found.render(NOW_FROM_KEY), *found.pack(keys, args))

    def declare(self, settings: RoomSettings, *, heal: bool = False) -> None:
        self.run(
            "declare",
            {"state": self._keys["state"]},
            {"seed": settings.digest(), "heal_ms": HEAL_MS, **_script_settings(settings)},
        )
        if not heal:
            self.now_ms += HEAL_MS
            self.tick()

    def configure(self, settings: RoomSettings) -> None:
        version = int(self.client.hget(self._keys["state"], "settings_version"))
        assert self.run("configure", self._keys, {"expected_version": version, **_script_settings(settings)})[0] == 0

    def control(self, verb: str, expected_epoch: int = 0) -> list[Any]:
        reply: list[Any] = self.run("control", self._keys, {"verb": verb, "expected_epoch": expected_epoch})
        return reply

    def join(self, count: int, operation: str | None = None) -> list[Any]:
        self._operation += 1
        reply: list[Any] = self.run(
            "join",
            {
                **self._keys,
                "operation": keys.room_operation(self.name, operation or f"op{self._operation}"),
                "idempotency": [],
            },
            {
                "count": count,
                "heal_ms": HEAL_MS,
                "operation_ttl_ms": 10_000,
                "idempotency_ttl_ms": 600_000,
                "keyed": [],
            },
        )
        return reply

    def tick(self, known: Snapshot | None = None) -> Snapshot:
        return self._look("tick", known, {"heal_ms": HEAL_MS})

    def observe(self, known: Snapshot | None = None) -> Snapshot:
        return self._look("observe", known, {})

    def _look(self, script: str, known: Snapshot | None, args: dict[str, Any]) -> Snapshot:
        reply = self.run(
            script,
            self._keys,
            {
                "known_settings_version": 0,
                "known_edge": known.window_edges[-1] if known and known.window_edges else 0,
                **args,
            },
        )
        assert reply[0] == 0
        seen, _ = parse_snapshot(self.name, [item.encode() if isinstance(item, str) else item for item in reply])
        merged, behind = merge(known, seen, (0, 0))
        assert not behind
        return merged


def _script_settings(settings: RoomSettings) -> dict[str, Any]:
    return {
        "settings": settings.as_json(),
        "size": settings.window_size,
        "interval_ms": settings.interval_ms,
        "active_ms": settings.active_ms,
    }
