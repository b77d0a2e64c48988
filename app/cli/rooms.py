"""`stanchion rooms …`: make, look at, steer and delete rooms of a running service."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.cli.connection import operator_api
from app.settings import is_room_name

rooms = typer.Typer(name="rooms", help="The rooms: make, look at, steer and delete them.", no_args_is_help=True)


def _checked(name: str) -> str:
    """A room's name stands in addresses: what none can have must not lead to another one's."""
    if not is_room_name(name):
        raise typer.BadParameter(f"no room can be named {name!r}: small letters, digits, - and _, up to 64")
    return name


Name = Annotated[str, typer.Argument(help="The room.", show_default=False, callback=_checked)]
AsJson = Annotated[bool, typer.Option("--json", help="Print the service's answer as JSON.")]
Settings = Annotated[
    list[str] | None,
    typer.Argument(help="Settings as name=value, like maxActive=500; an empty value means the default."),
]

_GATES = {"open": "green", "closed": "red", "draining": "yellow", "opens-later": "cyan"}


def _pairs(given: list[str] | None) -> dict[str, Any]:
    """`name=value` as a mapping; values are JSON where they can be read so, else text."""
    found: dict[str, Any] = {}
    for item in given or ():
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{item!r} is not name=value")
        try:
            found[name] = json.loads(value) if value else None
        except ValueError:
            found[name] = value
    return found


def _show(room: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(room, indent=2))
        return
    _table([room])
    settings = Table("setting", "value", title=f"settings of {room['room']}, version {room['settingsVersion']}")
    for name, value in _flattened(room["settings"]):
        settings.add_row(name, Text("default", style="dim") if value is None else Text(_written(value)))
    Console().print(settings)


def _flattened(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting by the name that `rooms set` takes: members of `look` and `gate` by dotted ones."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _written(value: Any) -> str:
    """A value as `rooms set` takes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _table(listed: list[dict[str, Any]]) -> None:
    table = Table("room", "gate", "line", "waiting", "turns", "sessions", "edge", "last", "epoch")
    for room in listed:
        line = "[yellow]paused[/yellow]" if room["paused"] else "[green]moving[/green]"
        colour = _GATES.get(room["gate"], "white")
        numbers = (str(room[name]) for name in ("waiting", "turns", "sessions", "edge", "last", "epoch"))
        table.add_row(f"[bold]{room['room']}[/bold]", f"[{colour}]{room['gate']}[/{colour}]", line, *numbers)
    Console().print(table)


@rooms.command("list")
def list_rooms(as_json: AsJson = False) -> None:
    """Every room."""
    with operator_api() as api:
        answer = api.call("GET", "/admin/api/rooms")
    if as_json:
        print(json.dumps(answer, indent=2))
    else:
        _table(answer["rooms"])


@rooms.command()
def show(room: Name, as_json: AsJson = False) -> None:
    """One room with its settings."""
    with operator_api() as api:
        _show(api.call("GET", f"/admin/api/rooms/{room}"), as_json)


@rooms.command()
def create(room: Name, settings: Settings = None, as_json: AsJson = False) -> None:
    """Make a room; every replica serves it within a second."""
    with operator_api() as api:
        answer = api.call("POST", "/admin/api/rooms", json={"room": room, "settings": _pairs(settings)})
    _show(answer, as_json)


@rooms.command("set")
def change(room: Name, settings: Settings = None, as_json: AsJson = False) -> None:
    """Change settings; those not named stay as they are."""
    with operator_api() as api:
        _show(api.call("PATCH", f"/admin/api/rooms/{room}", json={"settings": _pairs(settings)}), as_json)


@rooms.command()
def delete(room: Name, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Take a room away; its tickets hold no more."""
    if not yes:
        typer.confirm(f"Delete the room {room}, with everybody in it?", abort=True)
    with operator_api() as api:
        api.call("DELETE", f"/admin/api/rooms/{room}")
    Console().print(f"The room [bold]{room}[/bold] is gone.")


def _act(room: str, verb: str, as_json: bool, body: dict[str, Any] | None = None) -> None:
    with operator_api() as api:
        answer = api.call("POST", f"/admin/api/rooms/{room}/{verb}", json=body or {})
    if as_json:
        print(json.dumps(answer, indent=2))
    else:
        _table([answer])


@rooms.command()
def pause(room: Name, as_json: AsJson = False) -> None:
    """Let the line stand still; joins go on and nobody's time runs."""
    _act(room, "pause", as_json)


@rooms.command()
def resume(room: Name, as_json: AsJson = False) -> None:
    """Let a paused line go on."""
    _act(room, "resume", as_json)


@rooms.command("open")
def open_room(room: Name, as_json: AsJson = False) -> None:
    """Take new visitors again."""
    _act(room, "open", as_json)


@rooms.command()
def close(room: Name, as_json: AsJson = False) -> None:
    """Take no new visitors; the line goes on."""
    _act(room, "close", as_json)


@rooms.command()
def drain(room: Name, as_json: AsJson = False) -> None:
    """Take no new visitors, serve the line, then be closed."""
    _act(room, "drain", as_json)


@rooms.command()
def reset(
    room: Name, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False, as_json: AsJson = False
) -> None:
    """Start the line anew; no earlier ticket counts any more."""
    if not yes:
        typer.confirm(f"Start the line of {room} anew? Everybody in it loses their place.", abort=True)
    with operator_api() as api:
        epoch = api.call("GET", f"/admin/api/rooms/{room}")["epoch"]
    _act(room, "reset", as_json, {"expectedEpoch": epoch})


@rooms.command()
def admit(room: Name, count: Annotated[int, typer.Argument(help="How many.", min=1, max=100_000)]) -> None:
    """Let the next few in at once, whatever the pace."""
    with operator_api() as api:
        answer = api.call("POST", f"/admin/api/rooms/{room}/admit", json={"count": count})
    admitted = answer["admitted"]
    fewer = "" if admitted == count else f" of {count}: no more waited, or the capacity is used up"
    Console().print(f"Let in: [bold]{admitted}[/bold]{fewer}")


@rooms.command()
def sessions(room: Name, offset: int = 0, count: int = 100, as_json: AsJson = False) -> None:
    """The live sessions, those that end first before the others."""
    with operator_api() as api:
        answer = api.call("GET", f"/admin/api/rooms/{room}/sessions", params={"offset": offset, "count": count})
    if as_json:
        print(json.dumps(answer, indent=2))
        return
    title = f"{answer['sessions']} sessions, {answer['turns']} open turns"
    table = Table("session", "position", "started", "ends", title=title)
    for item in answer["page"]:
        table.add_row(item["sessionId"], str(item["position"]), item["startedAt"], item["endsAt"])
    Console().print(table)


@rooms.command()
def end(
    room: Name,
    positions: Annotated[list[int], typer.Argument(help="Positions of the present line.")],
    revoke: Annotated[bool, typer.Option("--revoke", help="Also keep their holders from new places.")] = False,
) -> None:
    """End visits; their slots are handed on at once."""
    wish = {"positions": positions, "revoke": revoke}
    with operator_api() as api:
        answer = api.call("POST", f"/admin/api/rooms/{room}/sessions/end", json=wish)
    Console().print(f"Ended: [bold]{answer['ended']}[/bold]")


@rooms.command()
def vip(
    room: Name,
    count: Annotated[int, typer.Option(help="How many codes.", min=1, max=1000)] = 1,
    hours: Annotated[float, typer.Option(help="How long they may be used.", min=0.1, max=8760)] = 168,
    many_uses: Annotated[bool, typer.Option("--many-uses", help="Each counts as often as it is used.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make VIP codes, which spare their holders the line; one link a line."""
    wish = {"count": count, "single": not many_uses, "expiresInSeconds": hours * 3600}
    with operator_api() as api:
        answer = api.call("POST", f"/admin/api/rooms/{room}/vip", json=wish)
    print(json.dumps(answer, indent=2) if as_json else "\n".join(code["link"] for code in answer["codes"]))


@rooms.command()
def audit(room: Name, count: int = 20, as_json: AsJson = False) -> None:
    """What operators did to a room, newest first."""
    with operator_api() as api:
        answer = api.call("GET", f"/admin/api/rooms/{room}/audit", params={"count": count})
    if as_json:
        print(json.dumps(answer, indent=2))
        return
    table = Table("when", "who", "action", "before", "after")
    for entry in answer["entries"]:
        before, after = (_difference(entry["before"], entry["after"]), _difference(entry["after"], entry["before"]))
        table.add_row(*map(Text, (entry["at"], entry["who"], entry["action"], before, after)))
    Console().print(table)


def _difference(state: Any, other: Any) -> str:
    """What of a state differs from the other one."""
    if not isinstance(state, dict) or not isinstance(other, dict):
        return "" if state is None or isinstance(state, dict) else str(state)
    return ", ".join(f"{name}={value}" for name, value in state.items() if other.get(name) != value)
