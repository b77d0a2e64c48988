"""Tasks over HTTP: the exchanges that producers and workers know, and what was added to them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.services import open_services
from app.settings import Settings
from app.tasks.model import Task
from app.web.app import create_app
from tests.support.apps import running_app, with_state
from tests.support.waiting import eventually


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with running_app(settings.model_copy(update={"grab_seconds": 0.05, "task_backoff": 0.0})) as (client, _):
        yield client


async def put(client: httpx.AsyncClient, **members: object) -> str:
    answer = await client.post("/task", json={"type": "email", "payload": {"to": "a@example.com"}, **members})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["taskId"])


async def take(client: httpx.AsyncClient, **params: str) -> dict[str, object]:
    answer = await client.get("/dequeue", params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, object] = answer.json()
    return found


async def test_a_task_goes_from_producer_to_worker_to_result(client: httpx.AsyncClient) -> None:
    accepted = await client.post("/task", json={"type": "email", "payload": {"to": "a@example.com", "cc": None}})
    assert accepted.status_code == 202
    body = accepted.json()
    assert body["message"] == "Task enqueued"
    assert body["stats"] == {"pending": 1, "processing": 0, "completed": 0, "failed": 0}
    task = await take(client)
    assert task["id"] == body["taskId"]
    assert (task["type"], task["payload"], task["status"], task["retries"], task["maxRetries"]) == (
        "email",
        {"to": "a@example.com", "cc": None},
        "processing",
        0,
        3,
    )
    assert isinstance(task["createdAt"], int)
    done = await client.post(f"/complete/{task['id']}", json={"result": {"sent": True}})
    assert done.status_code == 200
    seen = (await client.get(f"/task/{task['id']}")).json()
    assert (seen["status"], seen["state"], seen["result"], seen["attempts"]) == ("completed", "done", {"sent": True}, 1)
    assert "leaseToken" not in seen
    stats = (await client.get("/stats")).json()
    assert (stats["pending"], stats["processing"], stats["completed"], stats["failed"]) == (0, 0, 1, 0)


@pytest.mark.parametrize(
    "body",
    [b"{", b"", b"[]", b"{}", b'{"type":"email"}', b'{"payload":{"a":1}}', b'{"type":"","payload":1}']
    + [b'{"type":"email","payload":%s}' % empty for empty in (b"null", b'""', b"0", b"{}", b"NaN", b'"\\ud800"')],
)
async def test_a_task_without_type_or_payload_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/task", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_empty_queue_answers_204(client: httpx.AsyncClient) -> None:
    answer = await client.get("/dequeue")
    assert (answer.status_code, answer.content) == (204, b"")


async def test_head_takes_no_task(client: httpx.AsyncClient) -> None:
    await put(client)
    assert (await client.head("/dequeue")).status_code == 400
    assert (await client.get("/stats")).json()["pending"] == 1


async def test_the_third_failure_is_final_and_the_dead_letter_can_be_tried_again(client: httpx.AsyncClient) -> None:
    task_id = await put(client)
    for failures in (1, 2, 3):
        task = await take(client)
        answer = (await client.post(f"/fail/{task_id}", json={"error": f"no {failures}"})).json()
        assert answer["retries"] == failures
        assert answer["status"] == ("failed" if failures == 3 else "pending")
    assert task["attempts"] == 3
    letters = (await client.get("/dead-letters")).json()["tasks"]
    assert [(letter["id"], letter["error"], letter["reason"]) for letter in letters] == [(task_id, "no 3", "failed")]
    assert (await client.get("/stats")).json()["failed"] == 1
    assert (await client.post(f"/dead-letters/{task_id}/retry")).json() == {"count": 1}
    assert (await client.post(f"/dead-letters/{task_id}/retry")).status_code == 409
    again = await take(client)
    assert (again["id"], again["retries"]) == (task_id, 0)


async def test_all_dead_letters_can_be_tried_again_or_deleted(client: httpx.AsyncClient) -> None:
    for _ in range(5):
        task_id = await put(client)
        await take(client)
        await client.post(f"/fail/{task_id}", json={"error": "hopeless", "retry": False})
    assert (await client.post("/dead-letters/retry")).json() == {"count": 5}
    assert (await client.get("/stats")).json()["pending"] == 5
    for _ in range(5):
        task = await take(client)
        await client.post(f"/fail/{task['id']}", json={"retry": False})
    assert (await client.delete(f"/dead-letters/{task_id}")).status_code == 204
    assert (await client.delete(f"/dead-letters/{task_id}")).status_code == 404
    assert (await client.delete("/dead-letters")).json() == {"count": 4}
    assert (await client.get("/dead-letters")).json() == {"tasks": []}


async def test_a_late_worker_gets_409_and_changes_nothing(client: httpx.AsyncClient) -> None:
    task_id = await put(client)
    first = await take(client)
    await client.post(f"/release/{task_id}", json={"leaseToken": first["leaseToken"]})
    second = await take(client)
    assert int(str(second["leaseToken"])) > int(str(first["leaseToken"]))
    for verb in ("complete", "fail", "heartbeat"):
        late = await client.post(f"/{verb}/{task_id}", json={"leaseToken": first["leaseToken"]})
        assert late.status_code == 409
        assert late.json()["type"] == "urn:stanchion:problem:lease-lost"
    assert (await client.get(f"/task/{task_id}")).json()["status"] == "processing"
    mine = {"leaseToken": second["leaseToken"], "result": 1}
    assert (await client.post(f"/complete/{task_id}", json=mine)).status_code == 200
    assert (await client.post(f"/complete/{task_id}", json=mine)).status_code == 200
    assert (await client.post(f"/fail/{task_id}", json={"leaseToken": second["leaseToken"]})).status_code == 409


async def test_the_same_failure_reported_twice_counts_once(client: httpx.AsyncClient) -> None:
    task_id = await put(client)
    task = await take(client)
    body = {"leaseToken": task["leaseToken"], "error": "x"}
    first = await client.post(f"/fail/{task_id}", json=body)
    second = await client.post(f"/fail/{task_id}", json=body)
    assert first.json() == second.json()
    assert (await client.get(f"/task/{task_id}")).json()["retries"] == 1


async def test_without_a_token_a_change_counts_only_while_the_task_is_leased(client: httpx.AsyncClient) -> None:
    task_id = await put(client)
    assert (await client.post(f"/complete/{task_id}", json={})).status_code == 409
    await take(client)
    assert (await client.post(f"/complete/{task_id}")).status_code == 200
    assert (await client.post(f"/complete/{task_id}")).status_code == 200
    assert (await client.post(f"/fail/{task_id}", json={"error": "late"})).status_code == 409
    assert (await client.post("/complete/task-1-nobody", json={})).status_code == 404


async def test_a_token_can_be_required(settings: Settings) -> None:
    async with running_app(settings.model_copy(update={"require_lease_token": True})) as (client, _):
        task_id = await put(client)
        task = await take(client)
        refused = await client.post(f"/complete/{task_id}", json={})
        assert refused.status_code == 409
        assert "leaseToken" in refused.json()["detail"]
        mine = {"leaseToken": task["leaseToken"]}
        assert (await client.post(f"/complete/{task_id}", json=mine)).status_code == 200


async def test_priority_types_queues_and_batches(client: httpx.AsyncClient) -> None:
    low = await put(client, priority="low")
    high = await put(client, priority="high", type="image")
    normal = await put(client)
    assert (await take(client, types="report,image"))["id"] == high
    assert [(await take(client))["id"] for _ in range(2)] == [normal, low]
    batch = await client.post(
        "/tasks?queue=bulk", json={"tasks": [{"type": "n", "payload": [i + 1]} for i in range(100)]}
    )
    assert batch.status_code == 202
    assert batch.json()["stats"]["pending"] == 100
    assert (await client.get("/dequeue")).status_code == 204
    taken = (await client.get("/dequeue?queue=bulk&count=60")).json()["tasks"]
    assert [task["payload"] for task in taken] == [[i + 1] for i in range(60)]
    finished = await client.post(
        "/complete", json={"tasks": [{"id": t["id"], "leaseToken": t["leaseToken"], "result": 1} for t in taken]}
    )
    assert {task["status"] for task in finished.json()["tasks"]} == {"completed"}
    stats = (await client.get("/stats?queue=bulk")).json()
    assert (stats["pending"], stats["completed"], stats["byType"]) == (40, 60, {"n": {"ready": 40, "done": 60}})
    assert set((await client.get("/queues")).json()["queues"]) == {"default", "bulk"}


async def test_one_task_reported_twice_in_a_batch_is_judged_twice(client: httpx.AsyncClient) -> None:
    task_id = await put(client)
    await client.post("/task?queue=other", json={"type": "email", "payload": 1})
    task, other = await take(client), await take(client, queue="other")
    reports = [
        {"id": task_id, "leaseToken": "1"},
        {"id": other["id"], "leaseToken": other["leaseToken"]},
        {"id": task_id, "leaseToken": task["leaseToken"]},
    ]
    judged = (await client.post("/complete", json={"tasks": reports})).json()["tasks"]
    assert [(one["id"], one["status"]) for one in judged] == [
        (task_id, "refused"),
        (other["id"], "completed"),
        (task_id, "completed"),
    ]


async def test_a_task_waits_for_its_time(client: httpx.AsyncClient) -> None:
    task_id = await put(client, executeAt="2999-01-01T00:00:00Z")
    await put(client, delaySeconds=3600)
    assert (await client.get("/dequeue")).status_code == 204
    seen = (await client.get(f"/task/{task_id}")).json()
    assert (seen["state"], seen["executeAt"]) == ("delayed", 32472144000000)
    bad = await client.post("/task", json={"type": "a", "payload": 1, "executeAt": "tomorrow"})
    assert bad.status_code == 400
    soon = await put(client, delaySeconds=0.2)
    assert (await take(client, wait="5"))["id"] == soon


async def test_an_idempotency_key_keeps_a_repeat_from_counting_twice(client: httpx.AsyncClient) -> None:
    first = await put(client, idempotencyKey="order-17")
    assert await put(client, idempotencyKey="order-17") == first
    again = await client.post("/task", json={"type": "email", "payload": 1}, headers={"Idempotency-Key": "order-17"})
    assert again.json()["taskId"] == first
    assert (await client.get("/stats")).json()["pending"] == 1


async def test_a_payload_or_result_beyond_the_limit_is_413(client: httpx.AsyncClient) -> None:
    big = {"type": "email", "payload": "x" * 70_000}
    assert (await client.post("/task", json=big)).status_code == 413
    task_id = await put(client)
    await take(client)
    assert (await client.post(f"/complete/{task_id}", json={"result": "x" * 70_000})).status_code == 413
    assert (await client.post(f"/complete/{task_id}", json={"result": "x"})).status_code == 200


async def test_deleting_spares_what_somebody_works_on(client: httpx.AsyncClient) -> None:
    task_id = await put(client)
    await take(client)
    assert (await client.delete(f"/task/{task_id}")).status_code == 409
    await client.post(f"/release/{task_id}", json={})
    assert (await client.delete(f"/task/{task_id}")).status_code == 204
    assert (await client.get(f"/task/{task_id}")).status_code == 404
    assert (await client.get("/dequeue")).status_code == 204


@pytest.mark.parametrize("cursor", ["0.0", "1", "1.", "x.1", "1.x", "1.99999999999999999", "².1", "1.1.1"])
async def test_a_cursor_that_was_not_given_out_is_refused(client: httpx.AsyncClient, cursor: str) -> None:
    await put(client)
    for path in ("/tasks", "/dead-letters"):
        answer = await client.get(path, params={"queue": "default", "cursor": cursor})
        assert answer.status_code == 400, answer.text


async def test_the_grab_demo(client: httpx.AsyncClient) -> None:
    assert (await client.post("/grab-task")).status_code == 404
    created = (await client.post("/create-tasks?count=3")).json()
    assert (created["created"], created["createdBy"]) == (3, "replica-1")
    grabbed = [(await client.post("/grab-task")).json() for _ in range(2)]
    assert [(one["taskNumber"], one["grabbedBy"]) for one in grabbed] == [(1, "replica-1"), (2, "replica-1")]
    first = (await client.get("/tasks?limit=2")).json()
    rest = (await client.get(f"/tasks?limit=2&cursor={first['next']}")).json()
    assert [task["status"] for task in first["tasks"] + rest["tasks"]] == ["pending", "completed", "completed"]
    assert len((await client.get("/tasks?status=completed&type=demo")).json()["tasks"]) == 2
    assert (await client.get("/tasks?type=other")).json() == {"tasks": []}
    assert (await client.delete("/reset-tasks")).json()["deleted"] == 3
    await client.post("/create-tasks?count=1")
    assert (await client.post("/grab-task")).json()["taskNumber"] == 1


async def test_purging_needs_the_admin_token(client: httpx.AsyncClient) -> None:
    await put(client)
    assert (await client.delete("/tasks?queue=default&state=all")).status_code == 401
    admin = {"Authorization": "Bearer admin-token-for-tests"}
    assert (await client.delete("/tasks?queue=default&state=ready", headers=admin)).json() == {"count": 1}


async def test_schedules_can_be_set_seen_and_deleted(client: httpx.AsyncClient) -> None:
    body = {"cron": "0 4 * * *", "timezone": "Europe/Berlin", "type": "report", "payload": {"kind": "daily"}}
    put_answer = await client.put("/schedules/nightly", json=body)
    assert put_answer.status_code == 200, put_answer.text
    listed = (await client.get("/schedules")).json()["schedules"]
    assert [(one["name"], one["cron"], one["nextAt"] % 3_600_000) for one in listed] == [("nightly", "0 4 * * *", 0)]
    for wrong in ({"cron": "never"}, {"timezone": "Mars/Olympus"}, {"cron": "0 0 31 2 *"}):
        assert (await client.put("/schedules/x", json=body | wrong)).status_code == 400
    assert (await client.delete("/schedules/nightly")).status_code == 204
    assert (await client.delete("/schedules/nightly")).status_code == 404


@pytest.mark.parametrize(
    "goes_at", ["before the answer", "as its bytes are sent", "as soon as it has them all", "not at all"]
)
async def test_a_claim_whose_answer_cannot_be_delivered_is_given_back(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, goes_at: str
) -> None:
    app = create_app(lambda: open_services(settings))
    async with app.starlette.router.lifespan_context(app.starlette) as state:
        assert state is not None
        transport = httpx.ASGITransport(with_state(app, state))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
            task_id = await put(client)
            gone = asyncio.Event()
            requests = [{"type": "http.request", "body": b"", "more_body": False}]
            sent: list[str] = []
            owed = 0
            given_back: list[Task] = []
            dispatcher = state["services"].tasks.dispatcher
            give_back = dispatcher.give_back
            monkeypatch.setattr(dispatcher, "give_back", lambda tasks: [given_back.extend(tasks), give_back(tasks)])

            async def receive() -> dict[str, Any]:
                if requests:
                    return requests.pop()
                await gone.wait()
                return {"type": "http.disconnect"}

            async def send(message: Any) -> None:
                nonlocal owed
                sent.append(message["type"])
                if message["type"] == "http.response.start":
                    owed = int(dict(message["headers"])[b"content-length"])
                else:
                    owed -= len(message["body"])
                    if goes_at == ("as its bytes are sent" if owed else "as soon as it has them all"):
                        gone.set()
                        await asyncio.sleep(0.05)  # the server has as much time to notice as it likes

            if goes_at == "before the answer":
                gone.set()
            scope = {
                "type": "http",
                "method": "GET",
                "path": "/dequeue",
                "raw_path": b"/dequeue",
                "query_string": b"",
                "headers": [(b"host", b"localhost")],
                "scheme": "http",
                "server": ("localhost", 3000),
                "client": ("127.0.0.1", 1),
                "root_path": "",
                "http_version": "1.1",
            }
            await with_state(app, state)(scope, receive, send)
            was_told = goes_at in ("as soon as it has them all", "not at all")
            assert (owed == 0 and bool(sent)) == was_told
            assert bool(given_back) != was_told
            expected = ("leased", 1) if was_told else ("ready", 0)

            async def check() -> bool:
                task = (await client.get(f"/task/{task_id}")).json()
                return bool((task["state"], task["attempts"]) == expected)

            await eventually(check)
            assert bool(sent) == (goes_at != "before the answer")


async def test_queues_that_only_questions_name_leave_no_figures_behind(client: httpx.AsyncClient) -> None:
    for i in range(3):
        assert (await client.get("/dequeue", params={"queue": f"made-up-{i}"})).status_code == 204
        assert (await client.get("/stats", params={"queue": f"made-up-{i}"})).status_code == 200
        for verb in ("complete", "fail", "heartbeat", "release"):
            assert (await client.post(f"/{verb}/made-up-{i}:task-1", json={})).status_code == 404
    assert "made-up" not in (await client.get("/metrics")).text
    task_id = await put(client)
    assert (await client.post(f"/complete/{task_id}", json={"leaseToken": "x"})).status_code == 409
    assert 'stanchion_tasks_refused_total{queue="default"} 1.0' in (await client.get("/metrics")).text


@pytest.mark.parametrize(
    "text", ['"\\ud800"', "NaN", "[" * 500 + "]" * 500], ids=["half-a-character", "no-number", "deep"]
)
async def test_what_cannot_go_back_as_json_is_not_taken(client: httpx.AsyncClient, text: str) -> None:
    task_id = await put(client)
    as_json = {"Content-Type": "application/json"}
    schedule = f'{{"cron": "0 0 * * *", "type": "a", "payload": {text}}}'
    for answer in (
        await client.post(f"/fail/{task_id}", content=f'{{"error": {text}}}', headers=as_json),
        await client.post(f"/complete/{task_id}", content=f'{{"result": {text}}}', headers=as_json),
        await client.put("/schedules/nightly", content=schedule, headers=as_json),
    ):
        assert answer.status_code == 400, answer.text
        assert answer.json()["detail"]
