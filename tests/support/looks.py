"""Changing a room's settings as an operator does."""

from app.rooms.look import RoomLook
from app.services import Services
from tests.support.waiting import eventually


async def look_like(services: Services, look: dict[str, object], room: str = "default") -> None:
    """Give a room a look, and wait until this replica has seen it."""
    await change(services, room, look=RoomLook.model_validate(look))


async def change(services: Services, room: str, **changes: object) -> None:
    """Change a room's settings, and wait until this replica has seen it."""
    now = services.rooms.get(room)
    assert now.snapshot is not None
    version = now.snapshot.settings_version
    settings = now.settings.model_copy(update=changes)
    await services.operator.configure(room, settings, "test", expected_version=version)
    await eventually(lambda: now.settings == settings)
