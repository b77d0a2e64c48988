"""`stanchion tasks` against a running service."""

from collections.abc import Callable

import httpx

from tests.cli.test_commands import stanchion
from tests.support.replicas import Replica
from tests.support.servers import RealServer

TOKEN = "admin-token-for-tests"


def test_what_a_producer_or_worker_wrote_is_shown_as_it_is(
    server: RealServer, start_replica: Callable[..., Replica]
) -> None:
    url = start_replica(server.url, ADMIN_TOKEN=TOKEN, OPEN_ROUTES="tasks").url
    error = "no [/such] key :x: in [red]rows[0]"
    with httpx.Client(base_url=url) as client:
        task_id = client.post("/task", json={"type": "email", "payload": {"n": 1}}).json()["taskId"]
        client.get("/dequeue")
        assert client.post(f"/fail/{task_id}", json={"error": error, "retry": False}).is_success
    run = stanchion("tasks", "list", STANCHION_URL=url, ADMIN_TOKEN=TOKEN, COLUMNS="250")
    assert run.returncode == 0, run.stderr
    assert error in run.stdout
