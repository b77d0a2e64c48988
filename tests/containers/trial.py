"""The trial of the image and the compose file: each step is one promise of docs/containers.md, tried for real."""

import json
import time
import tomllib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.containers.crowd import Crowd, Poller
from tests.containers.engine import ROOT, Project, run
from tests.containers.guarded import visit
from tests.containers.pods import the_pods_of_the_manifests_run

REPLICAS = ("replica1", "replica2", "replica3")
WORKERS = ("worker1", "worker2", "worker3")
SERVICES = ("store", *REPLICAS, "nginx", *WORKERS, "site", "cashier")


class Trial:
    """The steps, in the order in which `STEPS` names them; each returns what it saw, as a sentence."""

    def __init__(self, image: str, project: Project) -> None:
        self.image = image
        self.project = project
        self.client = httpx.Client(base_url=project.url, timeout=10, trust_env=False)
        self.crowd = Crowd(self.client)
        self.browsers = 0
        """Places that were given to browsers: gaps to the crowd."""

    def the_image_holds_what_is_pinned_and_no_root(self) -> str:
        details = json.loads(run("docker", "image", "inspect", self.image))[0]
        user = details["Config"]["User"]
        assert user.split(":")[0].isdigit()
        assert not user.startswith("0")
        script = 'import importlib.metadata as m; print(*(f"{d.name}=={d.version}" for d in m.distributions()))'
        pairs = [pair.split("==") for pair in self._in_image("python", "-I", "-c", script).split()]
        held = {str(canonicalize_name(name)): version for name, version in pairs}
        groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
        wanted = [Requirement(line) for line in groups["image"]]
        pins = {str(canonicalize_name(pin.name)): str(pin.specifier).removeprefix("==") for pin in wanted}
        unpinned = {name: version for name, version in held.items() if pins.get(name, "") != version}
        assert set(unpinned) == {"stanchion"}, f"not the pinned versions: {unpinned}"
        own = int(self._in_image("du", "-sm", "/opt/stanchion").split()[0])
        assert own < 120, f"{own} MB: something that is not needed has come in"
        speak = "from app.web.languages import LANGUAGES, Language; [Language(tag).duration(300) for tag in LANGUAGES]"
        self._in_image("python", "-I", "-c", speak)
        return f"user {user}, {len(held)} packages, {own} MB on top of the base image; it speaks all its languages"

    def _in_image(self, *command: str) -> str:
        return run("docker", "run", "--rm", "--network", "none", "--entrypoint", command[0], self.image, *command[1:])

    def the_image_also_runs_by_itself(self) -> str:
        name, volume = f"{self.project.name}-alone", f"{self.project.name}-alone-data"
        hardened = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true", "--tmpfs", "/tmp"]
        run("docker", "run", "--detach", "--name", name, *hardened, "-v", f"{volume}:/var/lib/stanchion", self.image)
        try:
            _until(lambda: run("docker", "inspect", "-f", "{{.State.Health.Status}}", name).strip() == "healthy", 60)
            started_s = time.monotonic()
            run("docker", "stop", name)
            took_s = time.monotonic() - started_s
            exit_code = run("docker", "inspect", "-f", "{{.State.ExitCode}}", name).strip()
            assert exit_code == "0", f"exit code {exit_code}: {run('docker', 'logs', name, check=False)}"
        finally:
            run("docker", "rm", "--force", name, check=False)
            run("docker", "volume", "rm", volume, check=False)
        return f"embedded store, read-only root, healthy; stopped in {took_s:.1f} s with exit code 0"

    def compose_brings_everything_up(self) -> str:
        started_s = time.monotonic()
        self.project.compose("up", "--detach", "--no-build")
        self.project.wait_until_healthy(*SERVICES)
        return f"{len(SERVICES)} services healthy after {time.monotonic() - started_s:.0f} s ({self.project.version()})"

    def the_pods_of_the_manifests_run_too(self) -> str:
        return the_pods_of_the_manifests_run(self.project.name)

    def containers_are_shut_tight(self) -> str:
        for service in SERVICES:
            details = self.project.inspect(service)
            assert details["HostConfig"]["ReadonlyRootfs"]
            assert "Read-only file system" in self.project.inside(service, "touch /written")
            bindings = details["HostConfig"]["PortBindings"] or {}
            addresses = {binding["HostIp"] for published in bindings.values() for binding in published}
            assert addresses <= {"127.0.0.1"}
            assert bool(addresses) == (service == "nginx")
        users = {service: self.project.inside(service, "id -u").strip() for service in SERVICES if service != "store"}
        assert "0" not in users.values()
        return f"read-only file systems; only nginx is published, on 127.0.0.1; users {users}"

    def all_three_are_ready_through_nginx(self) -> str:
        def met() -> bool:
            reply = self.client.get("/readyz?strict")
            assert reply.status_code == 200, reply.text
            return len(self._upstreams("/readyz")) == 3

        _until(met, 60)
        return f"/readyz?strict answered 200 by {', '.join(sorted(self._upstreams('/readyz')))}"

    def _upstreams(self, path: str) -> set[str]:
        """Which replicas answered for a path, by nginx's log."""
        lines = [line for line in self.project.logs("nginx").splitlines() if f" {path} 200 " in line]
        return {line.split()[-1] for line in lines}

    def pages_of_other_sites_are_kept_out(self) -> str:
        assert self.client.get("/readyz", headers={"Host": "rebound.example"}).status_code == 421
        for header in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            for method, path in (
                ("POST", "/task"),
                ("GET", "/lock?id=1"),
                ("DELETE", "/reset-tasks"),
                ("POST", "/locks/x%2f..%2f..%2fjoin"),
            ):
                reply = self.client.request(method, path, headers=header)
                assert reply.status_code == 403, f"{path} with {header}: {reply.status_code}"
                assert reply.headers["content-type"] == "application/problem+json"
        assert self.client.get("/readyz", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200
        return "421 for another host name, 403 for another site's page"

    def a_crowd_joins_through_nginx(self) -> str:
        self.crowd.join(60)
        assert sorted(self.crowd.tickets) == list(range(1, 61)), "positions are not 1 to 60"
        answers = self.crowd.everyone_keeps_their_place()
        assert len(self._upstreams("/join")) == 3
        return f"60 joins by three replicas: positions 1 to 60 without a gap; {answers} polls, each its own position"

    def a_browser_sees_its_place(self) -> str:
        own = {"Origin": self.project.url, "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        with httpx.Client(base_url=self.project.url, headers=own, trust_env=False) as browser:
            page = browser.get("/")
            assert page.status_code == 200, page.text
            assert "text/html" in page.headers["content-type"]
            assert not browser.cookies, "looking gives no place"
            posted = browser.post("/join", headers=form)
            assert posted.status_code == 303, f"{posted.status_code} {posted.text}"
            assert browser.cookies
            place = browser.get("/status").json()
            shown = browser.get("/")
            assert shown.status_code == 200
            assert str(place["position"]) in shown.text
            self.browsers += 1
        return f"the page, its button, and then the page with place {place['position']}"

    def the_site_is_guarded(self) -> str:
        seen, places = visit(self.project.site_url)
        self.browsers += places
        return seen

    def nginx_answers_the_crowd_from_its_cache(self) -> str:
        for _ in range(200):
            self._serving()
        lines = [line for line in self.project.logs("nginx").splitlines() if " /serving 200 " in line]
        asked = [line for line in lines if not line.endswith(" by -")]
        assert len(lines) >= 200
        assert len(asked) <= len(lines) / 10, f"{len(asked)} of {len(lines)} went to a replica"
        return f"of {len(lines)} requests for /serving {len(asked)} reached a replica"

    def the_stream_passes_nginx_unbuffered(self) -> str:
        started_s = time.monotonic()
        with self.client.stream("GET", "/events") as stream:
            assert stream.status_code == 200
            first = next(line for line in stream.iter_lines() if line.startswith("data:"))
        took_s = time.monotonic() - started_s
        assert json.loads(first.removeprefix("data:"))["room"] == "default"
        return f"the first event came after {took_s * 1000:.0f} ms"

    def a_lock_is_held_once(self) -> str:
        with ThreadPoolExecutor(4) as pool:
            statuses = sorted(pool.map(lambda _: self.client.get("/lock?id=trial").status_code, range(4)))
        assert statuses == [200, 423, 423, 423]
        return f"four at once: {statuses}"

    def grabbed_tasks_are_all_different(self) -> str:
        assert self._patiently("POST", "/create-tasks?count=30").is_success
        with ThreadPoolExecutor(15) as pool:
            replies = list(pool.map(lambda _: self._patiently("POST", "/grab-task"), range(15)))
        assert {reply.status_code for reply in replies} == {200}, Counter(reply.text for reply in replies)
        grabbed = [reply.json() for reply in replies]
        assert len({task["taskId"] for task in grabbed}) == 15
        by = Counter(task["grabbedBy"] for task in grabbed)
        assert set(by) == {"WORKER-1", "WORKER-2", "WORKER-3"}, by
        assert self._patiently("DELETE", "/reset-tasks").is_success
        return f"15 grabs of 30 tasks, 15 different ones: {dict(sorted(by.items()))}"

    def the_workers_work(self) -> str:
        body = {"type": "email", "payload": {"to": "someone@example.com"}, "maxRetries": 20}
        ids = [self._patiently("POST", "/task", json=body).json()["taskId"] for _ in range(9)]
        _until(lambda: all(self._patiently("GET", f"/task/{id_}").json()["status"] == "completed" for id_ in ids), 90)
        took = {worker: self.project.logs(worker).count("task_started") for worker in WORKERS}
        assert all(took.values()), f"somebody had nothing to do: {took}"
        return f"9 tasks done; taken by {took}"

    def _patiently(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer; on a busy machine a 503 may come first, and is taken at its word."""
        deadline = time.monotonic() + 30
        while True:
            reply = self.client.request(method, path, **options)
            if reply.status_code != 503 or time.monotonic() > deadline:
                return reply
            time.sleep(float(reply.headers["retry-after"]))

    def one_replica_may_stop(self) -> str:
        before = self.crowd.refused
        with Poller(self.crowd, 1) as poller:
            self.project.docker("stop", "replica2")
            self.crowd.join(30)
            self.crowd.everyone_keeps_their_place()
        stopped = f"{poller.answers} polls answered, the slowest in {poller.slowest_s * 1000:.0f} ms"
        refused = self.crowd.refused - before
        assert self.crowd.gaps <= self.browsers + refused, "a gap without a refused join"
        self.project.docker("start", "replica2")
        self.project.wait_until_healthy("replica2")
        return (
            f"30 joins with replica2 stopped, {refused} asked twice, {self.crowd.gaps - self.browsers} gaps; {stopped}"
        )

    def one_replica_may_be_killed(self) -> str:
        before = self.crowd.refused
        self.project.docker("kill", "replica3", "--signal", "KILL")
        self.crowd.join(30)
        self.crowd.everyone_keeps_their_place()
        self.project.docker("start", "replica3")
        self.project.wait_until_healthy("replica3")
        self.crowd.everyone_keeps_their_place()
        return f"30 joins with replica3 killed, {self.crowd.refused - before} asked twice; it is back"

    def replicas_restart_one_by_one_under_load(self) -> str:
        before, refused = len(self.crowd.tickets), self.crowd.refused
        with Poller(self.crowd, 1) as poller, ThreadPoolExecutor(1) as pool:
            for replica in REPLICAS:
                restart = pool.submit(self.project.docker, "restart", replica)
                while not restart.done():
                    self.crowd.join(4, at_once=4)
                    time.sleep(0.05)
                restart.result()
                self.project.wait_until_healthy(replica)
        self.crowd.everyone_keeps_their_place()
        joins, twice = len(self.crowd.tickets) - before, self.crowd.refused - refused
        # On a busy machine a store may now and then be slower than replicas wait for it; that has nothing to do with restarts.
        assert twice <= joins / 50, f"{twice} of {joins} joins were refused"
        return f"{joins} joins and {poller.answers} polls meanwhile, all of them answered, {twice} joins asked twice"

    def the_store_may_restart(self) -> str:
        return self._store_goes("stop", lambda: self.project.docker("stop", "store"))

    def the_store_may_be_killed(self) -> str:
        return self._store_goes("kill", lambda: self.project.docker("kill", "store", "--signal", "KILL"))

    def the_store_may_forget_everything(self) -> str:
        def wipe() -> None:
            store = self.project.container("store")
            self.project.docker("stop", "store")
            image = self.project.inspect("store")["Config"]["Image"]
            wiping = ["--volumes-from", store, "--user", "0", "--entrypoint", "sh", image, "-c", "rm -rf /data/*"]
            run("docker", "run", "--rm", *wiping)

        return self._store_goes("wiped", wipe)

    def _store_goes(self, how: str, end: Callable[[], None]) -> str:
        last = self.crowd.last
        edge = self._serving()["serving"]
        with Poller(self.crowd, last) as poller:
            end()
            _until(lambda: poller.stale > 0, 10)
            started_s = time.monotonic()
            refused = self.client.post("/join")
            took_s = time.monotonic() - started_s
            assert refused.status_code == 503, f"{refused.status_code} {refused.text}"
            assert "retry-after" in refused.headers
            assert took_s < 2.0, f"/join was refused after {took_s:.1f} s"
            self.crowd.everyone_keeps_their_place()
            self.project.docker("start", "store")
            self.crowd.join(30)
            self.crowd.everyone_keeps_their_place()
        new = sorted(self.crowd.tickets)[-30:]
        assert new[0] > last, f"position {new[0]} was given out after {last}"
        after = self._serving()
        assert after["serving"] >= edge, f"the edge moved back from {edge} to {after['serving']}"
        _until(lambda: self._serving()["last"] >= self.crowd.last, 5)  # a cache may be a second behind
        self.project.wait_until_healthy("store")
        return (
            f"{how}: /join refused in {took_s * 1000:.0f} ms, {poller.answers} polls answered ({poller.stale} stale); "
            f"after {last} came {new[0]} to {new[-1]}, nobody moved"
        )

    def _serving(self) -> dict[str, Any]:
        reply = self.client.get("/serving")
        assert reply.status_code == 200, reply.text
        state: dict[str, Any] = reply.json()
        return state

    def down_and_up_keeps_the_line(self) -> str:
        last = self.crowd.last
        self.project.down(volumes=False)
        self.project.compose("up", "--detach", "--no-build")
        self.project.wait_until_healthy(*SERVICES)
        self.crowd.everyone_keeps_their_place()
        self.crowd.join(10)
        new = sorted(self.crowd.tickets)[-10:]
        assert new[0] > last
        return f"all containers made anew on the old volume: after {last} came {new[0]} to {new[-1]}"

    def without_replicas_nginx_says_so(self) -> str:
        self.project.compose("stop", *REPLICAS)
        reply = self.client.post("/join")
        assert reply.status_code == 503, reply.text
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.headers["retry-after"]
        self.project.docker("restart", "nginx")  # must come up while no replica can be reached
        self.project.compose("start", *REPLICAS)
        self.project.wait_until_healthy(*SERVICES)
        self.crowd.everyone_keeps_their_place()
        return "503 with advice while all are stopped; nginx restarts meanwhile; all is back by itself"

    def no_log_holds_a_ticket(self) -> str:
        logs = self.project.logs()
        assert not [token for token in self.crowd.tickets.values() if token in logs or token.split(".")[2] in logs]
        assert "Traceback" not in logs
        return f"{len(logs.splitlines())} lines without a ticket or a traceback"


STEPS: tuple[Callable[[Trial], str], ...] = (
    Trial.the_image_holds_what_is_pinned_and_no_root,
    Trial.the_image_also_runs_by_itself,
    Trial.the_pods_of_the_manifests_run_too,
    Trial.compose_brings_everything_up,
    Trial.containers_are_shut_tight,
    Trial.all_three_are_ready_through_nginx,
    Trial.pages_of_other_sites_are_kept_out,
    Trial.a_crowd_joins_through_nginx,
    Trial.a_browser_sees_its_place,
    Trial.the_site_is_guarded,
    Trial.nginx_answers_the_crowd_from_its_cache,
    Trial.the_stream_passes_nginx_unbuffered,
    Trial.a_lock_is_held_once,
    Trial.grabbed_tasks_are_all_different,
    Trial.the_workers_work,
    Trial.one_replica_may_stop,
    Trial.one_replica_may_be_killed,
    Trial.replicas_restart_one_by_one_under_load,
    Trial.the_store_may_restart,
    Trial.the_store_may_be_killed,
    Trial.the_store_may_forget_everything,
    Trial.without_replicas_nginx_says_so,
    Trial.no_log_holds_a_ticket,
    Trial.down_and_up_keeps_the_line,
)


def _until(check: Callable[[], bool], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < deadline, f"not true within {within_s} s"
        time.sleep(0.1)
