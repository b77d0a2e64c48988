"""A short soak: nothing acknowledged is lost, whatever is killed."""

from pathlib import Path

import pytest

from tests.support.servers import RealServer
from tests.tasks.soak import Soak


@pytest.mark.timeout(200)
async def test_nothing_is_lost_while_workers_replicas_and_the_store_are_killed(
    own_server: RealServer, tmp_path: Path
) -> None:
    summary = await Soak(tmp_path, own_server, seconds=16, seed=7).run()
    assert summary["acknowledged"] > 50
    assert summary["kills"]["store"] >= 2
    assert summary["kills"]["worker"] >= 3
