"""The OpenAPI document is true: schemathesis drives the running application by it."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import CHECKS, load_all_checks

from app.web.app import OPERATIONS
from app.web.openapi import openapi_document
from app.web.operations import plain_path
from tests.support.replicas import Replica
from tests.support.servers import RealServer

load_all_checks()
CHECK_NAMES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)
ADMIN = "admin-token-for-tests"
LEFT_OUT = {"/openapi.json", "/grab-task", "/events"}
"""The document itself, which schemathesis leaves out, what takes seconds by design, and a stream without an end."""

EMPTY = {("/gate/{room}", "401")}
"""Refusals without a body, for proxies that read the headers only."""


@pytest.mark.timeout(900)
def test_every_operation_answers_as_the_document_says(
    server: RealServer, start_replica: Callable[..., Replica]
) -> None:
    replica = start_replica(
        server.url,
        ADMIN_TOKEN=ADMIN,
        OPEN_ROUTES="tasks,locks",
        PROCESSING_TIME_MS="1",
        LOCK_WAIT="1",
        LOCK_MAX_WAIT="1",
        LOCK_LEASE="1",
        TASK_MAX_WAIT="0.1",
    )
    schema = schemathesis.openapi.from_url(f"{replica.url}/openapi.json")
    driven: list[str] = []
    for result in list(schema.get_all_operations()):
        operation = result.ok()
        if operation.path in LEFT_OUT:
            continue
        driven.append(operation.label)
        _drive(operation)
    assert sorted(driven) == sorted(
        f"{o.method} {plain_path(o.path)}" for o in OPERATIONS if not o.hidden and o.path not in LEFT_OUT
    )
    with server.client() as client:
        client.flushall()


def _drive(operation: Any) -> None:
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    def check(case: Any) -> None:
        headers = {"Authorization": f"Bearer {ADMIN}"} if "/admin/" in operation.path else {}
        response = _answer(case, headers)
        # A wait that ran out is an answer; what is not is a 500.
        names = [name for name in CHECK_NAMES if name != "not_a_server_error" or response.status_code != 504]
        case.validate_response(response, checks=CHECKS.get_by_names(names))

    given(case=operation.as_strategy())(check)()


def _answer(case: Any, headers: dict[str, str]) -> Any:
    """The answer; asked for again, as it says, where a busy machine kept the store from answering within its half second."""
    deadline = time.monotonic() + 20
    while True:
        answer = case.call(headers=headers)
        if answer.status_code != 503 or b"store-unavailable" not in answer.content or time.monotonic() > deadline:
            return answer


def test_every_error_status_is_documented_as_a_problem() -> None:
    document = openapi_document(OPERATIONS)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for status, response in operation["responses"].items():
                if status.startswith(("4", "5")) and path != "/readyz" and (path, status) not in EMPTY:
                    assert "application/problem+json" in response.get("content", {}), (method, path, status)
