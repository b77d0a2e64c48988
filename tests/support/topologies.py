"""Sets of store servers: a Sentinel set-up and a cluster, up in a second or two on loopback ports.

Both speed their server up only where it waits for nothing but the wall clock; the protocols run as they are.
"""

import itertools
import secrets
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from app.store.embedded import server_binary
from tests.support.servers import RealServer, free_port

SERVICE = "mymaster"
CLUSTER_SLOTS = 16384


def wait_until(check: Callable[[], Any], what: str, within_s: float = 30.0) -> Any:
    """The first truthy result of `check`; errors of a server that is not there yet count as no."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            if result := check():
                return result
        except redis.RedisError:
            pass
        assert time.monotonic() < deadline, f"did not happen in {within_s} s: {what}"
        time.sleep(0.02)


def _wait_for_link(replica: RealServer) -> None:
    with replica.client() as client:
        wait_until(lambda: client.info("replication").get("master_link_status") == "up", "the replica is in sync")


class SentinelSetup:
    """One primary, one replica, and three Sentinels that agree about them.

    `primary` and `replica` name the servers by the part they play now: a failover swaps them. `patience_ms` is how long
    the primary may be silent before the replica is promoted: a busy machine may stand still for a second or two.
    """

    def __init__(self, folder: Path, *, patience_ms: int = 2000, **options: str) -> None:
        fast = {"repl_diskless_sync_delay": "0", "repl_ping_replica_period": "1", **options}
        self.primary = RealServer(folder / "server-1", **fast)
        self.replica = RealServer(folder / "server-2", **{**fast, "replicaof": f"127.0.0.1 {self.primary.port}"})
        self.sentinels = [Sentinel(folder / f"sentinel-{number}", patience_ms) for number in (1, 2, 3)]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    def start(self) -> "SentinelSetup":
        self.primary.start()
        self.replica.start()
        _wait_for_link(self.replica)
        for sentinel in self.sentinels:
            sentinel.start(self.primary.port, self.replica.port, [s for s in self.sentinels if s is not sentinel])
        for sentinel in self.sentinels:
            wait_until(sentinel.sees_everyone, "every Sentinel knows the replica and the other two")
        return self

    def failover(self) -> None:
        """An orderly switch to the replica; returns once every Sentinel names it and it takes writes."""
        with self.sentinels[0].client() as client:
            self._swap(lambda: client.execute_command("SENTINEL FAILOVER", SERVICE))

    def kill_primary(self) -> None:
        """SIGKILL for the primary; returns once the replica has been promoted. The dead one stays down.

        Sentinel lets some ten seconds pass between two failovers: one a test is quick, two are not.
        """
        self._swap(self.primary.kill)

    def freeze_primary(self) -> None:
        """SIGSTOP for the primary: its sockets stay open and never answer. Returns once the replica is promoted."""
        self._swap(self.primary.freeze)

    def stop(self) -> None:
        for sentinel in self.sentinels:
            sentinel.stop()
        for server in (self.primary, self.replica):
            server.kill()

    def _swap(self, trigger: Callable[[], Any]) -> None:
        wait_until(self._replica_is_healthy, "Sentinel finds the replica fit for promotion")
        trigger()
        promoted = self.replica
        for sentinel in self.sentinels:
            wait_until(lambda s=sentinel: s.primary_port() == promoted.port, "every Sentinel names the new primary")
        with promoted.client() as client:
            wait_until(lambda: client.role()[0] == "master", "the new primary takes writes")
        self.primary, self.replica = promoted, self.primary

    def _replica_is_healthy(self) -> bool:
        for sentinel in self.sentinels:
            (found,) = [r for r in sentinel.replicas() if int(r["port"]) == self.replica.port]
            if found["flags"] != "slave" or found["master-link-status"] != "ok":
                return False
        return True


class Sentinel:
    """One Sentinel process."""

    def __init__(self, folder: Path, patience_ms: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._patience_ms = patience_ms
        self.folder = folder
        self.port = free_port()
        self.run_id = secrets.token_hex(20)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, primary_port: int, replica_port: int, others: list["Sentinel"]) -> None:
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"dir {self.folder}",
            f"logfile {self.folder / 'server.log'}",
            f"sentinel myid {self.run_id}",
            f"sentinel monitor {SERVICE} 127.0.0.1 {primary_port} 2",
            f"sentinel down-after-milliseconds {SERVICE} {self._patience_ms}",
            f"sentinel failover-timeout {SERVICE} 3000",
            f"sentinel known-replica {SERVICE} 127.0.0.1 {replica_port}",
            *(f"sentinel known-sentinel {SERVICE} 127.0.0.1 {other.port} {other.run_id}" for other in others),
        ]
        config = self.folder / "sentinel.conf"
        config.write_text("\n".join(lines) + "\n")
        self.process = subprocess.Popen(
            [str(server_binary()), str(config), "--sentinel"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        with self.client() as client:
            wait_until(client.ping, f"the Sentinel is up; see {self.folder}/server.log")
            # A replica is fit for promotion when its INFO is younger than five pings; once the primary is down,
            # INFO comes every second, so that shorter pings than these would leave it to luck.
            periods = ("INFO-PERIOD", 200, "PING-PERIOD", 300, "ASK-PERIOD", 100)
            # One that has itself stood still does nothing for half a minute, by default.
            client.execute_command("SENTINEL DEBUG", *periods, "ELECTION-TIMEOUT", 1000, "TILT-PERIOD", 1000)

    def client(self) -> Any:
        return redis.Redis(port=self.port, socket_timeout=5, decode_responses=True)

    def primary_port(self) -> int:
        with self.client() as client:
            return int(client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", SERVICE)[1])

    def replicas(self) -> list[dict[str, str]]:
        return self._rows("REPLICAS")

    def sees_everyone(self) -> bool:
        return [row["flags"] for row in self._rows("SENTINELS")] == ["sentinel"] * 2 and [
            row["master-link-status"] for row in self.replicas()
        ] == ["ok"]

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def _rows(self, what: str) -> list[dict[str, str]]:
        with redis.Redis(port=self.port, socket_timeout=5, decode_responses=True) as client:
            client.set_response_callback(f"SENTINEL {what}", lambda rows, **_: rows)
            rows = client.execute_command(f"SENTINEL {what}", SERVICE)
        return [row if isinstance(row, dict) else dict(zip(row[::2], row[1::2], strict=True)) for row in rows]


class ClusterSetup:
    """Three primaries that share the slots, and on demand one replica of the first.

    `patience_ms` is how long a node may be silent before the others count it out: a busy machine may stand still for a
    second or two.
    """

    def __init__(self, folder: Path, *, with_replica: bool = False, patience_ms: int = 2000) -> None:
        self._patience_ms = patience_ms
        self.nodes = [self._node(folder / f"node-{number}") for number in (1, 2, 3)]
        self.replica = self._node(folder / "node-4") if with_replica else None

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self) -> "ClusterSetup":
        everyone = self._everyone()
        for node in everyone:
            node.start()
        bounds = [CLUSTER_SLOTS * i // len(self.nodes) for i in range(len(self.nodes) + 1)]
        for epoch, (node, (first, end)) in enumerate(zip(self.nodes, itertools.pairwise(bounds), strict=True), 1):
            with node.client() as client:
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", epoch)
                client.execute_command("CLUSTER ADDSLOTSRANGE", first, end - 1)
        for node, other in itertools.permutations(everyone, 2):
            with node.client() as client:
                client.execute_command("CLUSTER MEET", "127.0.0.1", other.port, other.options["cluster-port"])
        if self.replica is not None:
            self._follow(self.replica, self.nodes[0])
        self.wait_until_ok()
        for node in everyone:  # with more patience from the start they would find each other more slowly
            with node.client() as client:
                client.config_set("cluster-node-timeout", self._patience_ms)
        return self

    def wait_until_ok(self) -> None:
        """Every living node knows every other, and all slots are served."""
        for node in self._everyone():
            if node.process is not None:
                wait_until(lambda n=node: self._is_ok(n), "every node finds the cluster whole")

    def failover(self) -> None:
        """An orderly switch of the first primary's slots to the replica (needs `with_replica`)."""
        assert self.replica is not None
        with self.replica.client() as client:
            client.execute_command("CLUSTER FAILOVER")
        self._promoted()

    def kill_primary(self) -> None:
        """SIGKILL for the first primary; returns once its replica has taken over, or at once without one."""
        self.nodes[0].kill()
        if self.replica is not None:
            self._promoted()

    def move_slot(self, slot: int, source: RealServer, target: RealServer) -> None:
        """Give an empty slot to another primary, so that clients must follow a MOVED."""
        with source.client() as source_client, target.client() as target_client:
            target_id = target_client.execute_command("CLUSTER MYID")
            for client in (target_client, source_client):
                client.execute_command("CLUSTER SETSLOT", slot, "NODE", target_id)

    def flushall(self) -> None:
        for node in self.nodes:
            with node.client() as client:
                client.flushall()

    def stop(self) -> None:
        for node in self._everyone():
            node.kill()

    def _promoted(self) -> None:
        assert self.replica is not None
        with self.replica.client() as client:
            wait_until(lambda: client.role()[0] == "master", "the replica takes over")
        self.nodes[0], self.replica = self.replica, self.nodes[0]
        if self.replica.process is not None:
            _wait_for_link(self.replica)
        self.wait_until_ok()

    def _everyone(self) -> list[RealServer]:
        return [*self.nodes, *([self.replica] if self.replica else [])]

    def _is_ok(self, node: RealServer) -> bool:
        with node.client() as client:
            info = client.cluster("INFO")
            whole = info["cluster_state"] == "ok" and int(info["cluster_known_nodes"]) == len(self._everyone())
            return whole and "handshake" not in str(client.cluster("NODES"))

    @staticmethod
    def _node(folder: Path) -> RealServer:
        return RealServer(
            folder,
            cluster_enabled="yes",
            cluster_config_file="nodes.conf",
            cluster_node_timeout="1000",
            cluster_port=str(free_port()),
            repl_diskless_sync_delay="0",
            repl_ping_replica_period="1",
        )

    @staticmethod
    def _follow(replica: RealServer, primary: RealServer) -> None:
        with primary.client() as client:
            primary_id = client.execute_command("CLUSTER MYID")
        with replica.client() as client:
            wait_until(lambda: client.execute_command("CLUSTER REPLICATE", primary_id), "the replica finds its primary")
        _wait_for_link(replica)
