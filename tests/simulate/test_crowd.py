"""`stanchion simulate crowd` against running services: every way of admitting, two replicas, a killed one."""

from collections.abc import Callable

import httpx
import pytest

from tests.conftest import SECRET
from tests.simulate.conftest import TOKEN, make_room, simulate_crowd
from tests.support.replicas import Replica
from tests.support.servers import RealServer
from tests.support.waiting import eventually

ENV = {"ADMIN_TOKEN": TOKEN, "JWT_SECRET": SECRET, "LOG_LEVEL": "warning"}
QUICK = ("-n", "200", "--over", "3", "--patience", "6", "--stay", "1", "--seed", "7", "--time-limit", "60", "--json")


@pytest.mark.parametrize(
    ("checked", "settings"),
    [
        ({"batches"}, {"windowSize": 40, "windowIntervalSeconds": 2, "activeWindowCount": 5}),
        ({"rate"}, {"ratePerMinute": 1500, "claimSeconds": 8}),
        ({"active"}, {"maxActive": 60, "claimSeconds": 5}),
        (
            {"batches", "rate", "active"},
            {
                "batches": True,
                "windowSize": 40,
                "windowIntervalSeconds": 1,
                "ratePerMinute": 2400,
                "maxActive": 80,
                "claimSeconds": 5,
            },
        ),
        (set(), {"method": "passthrough", "claimSeconds": 4}),
    ],
    ids=["batches", "rate", "active", "all-three", "passthrough"],
)
async def test_a_crowd_gets_through_and_every_promise_holds(
    checked: set[str],
    settings: dict[str, object],
    server: RealServer,
    start_replica: Callable[..., Replica],
) -> None:
    urls = [start_replica(server.url, **ENV).url for _ in range(2)]
    await make_room(urls[0], "sale", **settings)
    await eventually(lambda: httpx.get(f"{urls[1]}/rooms/sale/serving").status_code == 200)
    run = await simulate_crowd(urls, "--room", "sale", *QUICK)
    assert run.code == 0, run.err
    promises = {item["name"]: item["holds"] for item in run.summary["promises"]}
    assert {name for name in ("batches", "rate", "active") if promises[name]} == checked
    assert all(promises[name] for name in ("unique", "kept", "order", "forward", "lost"))
    assert run.ended_as("served") + run.ended_as("gave up") == 200
    assert run.summary["outcomes"]["late"] == {"served": 10}
    assert run.summary["ended"] == "all done"
