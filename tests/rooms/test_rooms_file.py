"""Rooms from a file: declared at the start, followed when it changes, and never against the operator."""

from pathlib import Path

import pytest

from app.errors import ConfigError
from app.rooms.settings import RoomSettings
from app.services.rooms_file import read_rooms_file
from tests.conftest import make_settings
from tests.deploy.files import manifest
from tests.support.apps import running_app, settled
from tests.support.servers import RealServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("patient_store")

ADMIN = {"Authorization": "Bearer admin-token-for-tests"}
BASE = RoomSettings(window_size=7)


def test_what_the_file_does_not_name_is_as_the_environment_says(tmp_path: Path) -> None:
    path = tmp_path / "rooms.yaml"
    path.write_text("rooms:\n  sale: {maxActive: 5}\n  quiet:\n")
    rooms = read_rooms_file(path, BASE)
    assert (rooms["sale"].max_active, rooms["sale"].window_size) == (5, 7)
    assert rooms["quiet"] == BASE


def test_everything_wrong_in_it_is_reported_at_once(tmp_path: Path) -> None:
    path = tmp_path / "rooms.yaml"
    path.write_text("rooms:\n  UP: {}\n  sale: {maxActive: -1, colour: red}\n  other: 5\n")
    with pytest.raises(ConfigError) as caught:
        read_rooms_file(path, BASE)
    text = str(caught.value)
    assert all(part in text for part in ("'UP'", "sale.maxActive", "sale.colour", "other")), text
    path.write_text("rooms: [")
    with pytest.raises(ConfigError, match="cannot read"):
        read_rooms_file(path, BASE)


async def test_a_changed_file_is_applied_and_undoes_nothing_an_operator_did(server: RealServer, tmp_path: Path) -> None:
    path = tmp_path / "rooms.yaml"
    path.write_text("rooms:\n  sale: {maxActive: 5}\n  gone: {}\n")
    settings = make_settings(redis_url=server.url, refresh_interval=0.05, rooms_file=str(path))
    async with running_app(settings) as (client, services):
        await eventually(lambda: settled(services))
        await client.post("/admin/api/rooms/sale/pause", headers=ADMIN)
        await client.patch("/admin/api/rooms/sale", json={"settings": {"maxActive": 6}}, headers=ADMIN)
        assert (await client.delete("/admin/api/rooms/gone", headers=ADMIN)).status_code == 204
    async with running_app(settings) as (client, services):  # the same content: the operator's word stands
        await eventually(lambda: services.has_snapshot)
        shown = (await client.get("/admin/api/rooms/sale", headers=ADMIN)).json()
        assert (shown["settings"]["maxActive"], shown["paused"]) == (6, True)
        path.write_text("rooms:\n  sale: {maxActive: 9}\n  new: {}\n  gone: {}\n")
        await eventually(lambda: services.rooms.get("sale").settings.max_active == 9)
        await eventually(lambda: services.rooms.get("new").snapshot)
        shown = (await client.get("/admin/api/rooms/sale", headers=ADMIN)).json()
        assert shown["paused"] is True
        assert (await client.get("/admin/api/rooms/gone", headers=ADMIN)).status_code == 404
    with server.client() as direct:
        direct.flushall()


def test_the_rooms_of_the_kubernetes_manifest_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "rooms.yaml"
    path.write_text(manifest("ConfigMap", "stanchion-rooms")["data"]["rooms.yaml"])
    assert read_rooms_file(path, BASE) == {"default": BASE}
