"""Who may do what: tokens, open routes, and the guard against web pages on a laptop."""

from typing import Any

import pytest
from starlette.requests import Request

from app.errors import Forbidden, Unauthorized
from app.settings import Settings
from app.web.access import Access, bearer_token, require_access

ADMIN, TASK, LOCK = "admin-token-for-tests", "task-token-for-tests", "lock-token-for-tests"
GUARDED = [Access.TASKS, Access.LOCKS, Access.ADMIN]


def request(method: str = "GET", **headers: str) -> Request:
    """A request as a program on this machine sends it; `headers` adds to it or changes it."""
    given = {"host": "localhost:3000", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Request(
        {
            "type": "http",
            "method": method,
            "path": "/task",
            "query_string": b"",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
        }
    )


def settings(**changes: Any) -> Settings:
    return Settings(**{"redis_url": "redis://127.0.0.1", "open_routes": "", **changes})


def guarded(**changes: Any) -> Settings:
    return settings(admin_token=ADMIN, task_token=TASK, lock_token=LOCK, **changes)


def on_a_laptop() -> Settings:
    return settings(open_routes="tasks,locks", admin_token=ADMIN)


def test_public_routes_ask_for_nothing() -> None:
    require_access(request(host="anything.example", authorization="Bearer nonsense"), Access.PUBLIC, settings())


@pytest.mark.parametrize(
    ("access", "token"),
    [(Access.TASKS, TASK), (Access.LOCKS, LOCK), *((access, ADMIN) for access in GUARDED)],
)
def test_the_right_token_and_the_operators_open_a_route(access: Access, token: str) -> None:
    require_access(request(authorization=f"Bearer {token}", host="shop.example"), access, guarded())
    require_access(request(authorization=f"bearer  {token} "), access, guarded())


@pytest.mark.parametrize(
    ("access", "token"),
    [
        (Access.TASKS, LOCK),
        (Access.LOCKS, TASK),
        (Access.ADMIN, TASK),
        (Access.ADMIN, LOCK),
        (Access.ADMIN, ADMIN[:-1]),
        (Access.ADMIN, ADMIN + "x"),
        (Access.TASKS, "tökén"),
    ],
)
def test_another_token_is_the_wrong_one(access: Access, token: str) -> None:
    with pytest.raises(Unauthorized) as caught:
        require_access(request(authorization=f"Bearer {token}"), access, guarded())
    assert caught.value.reason == "wrong_token"


def test_a_wrong_token_is_refused_even_where_none_is_needed() -> None:
    with pytest.raises(Unauthorized):
        require_access(request(authorization="Bearer wrong-wrong-wrong-wrong"), Access.TASKS, on_a_laptop())


@pytest.mark.parametrize("access", GUARDED)
@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Basic YTpi", "Token x"])
def test_no_token_is_told_which_one_to_send(access: Access, authorization: str) -> None:
    with pytest.raises(Unauthorized, match=f"{access.value.upper().removesuffix('S')}_TOKEN") as caught:
        require_access(request(authorization=authorization), access, guarded())
    assert caught.value.reason == "missing_token"


@pytest.mark.parametrize("access", GUARDED)
def test_a_route_without_any_token_set_up_says_how_to_set_one(access: Access) -> None:
    with pytest.raises(Forbidden, match=f"{access.value.upper().removesuffix('S')}_TOKEN"):
        require_access(request(), access, settings())


def test_open_routes_opens_only_what_it_names() -> None:
    only_tasks = settings(open_routes="tasks")
    require_access(request(), Access.TASKS, only_tasks)
    for access in (Access.LOCKS, Access.ADMIN):
        with pytest.raises(Forbidden):
            require_access(request(), access, only_tasks)


def test_the_operators_routes_are_never_open() -> None:
    with pytest.raises(Unauthorized):
        require_access(request(), Access.ADMIN, on_a_laptop())


@pytest.mark.parametrize("host", ["localhost", "localhost:3000", "127.0.0.1:3000", "[::1]:3000", "LOCALHOST:3000"])
def test_a_program_on_this_machine_may_use_open_routes(host: str) -> None:
    require_access(request(host=host), Access.TASKS, on_a_laptop())
    require_access(
        request("POST", host=host, content_type="application/json; charset=utf-8", content_length="2"),
        Access.LOCKS,
        on_a_laptop(),
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "localhost.evil.example"},
        {"host": "127.0.0.1.evil.example:3000"},
        {"host": "evil@localhost.example"},
        {"host": ""},
        {"host": "[::1"},
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:8080"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://[::1"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_web_page_cannot_reach_open_routes_on_a_laptop(method: str, headers: dict[str, str]) -> None:
    with pytest.raises(Forbidden):
        require_access(request(method, **headers), Access.TASKS, on_a_laptop())


def test_the_services_own_page_may_use_open_routes() -> None:
    own = request(origin="http://localhost:3000", sec_fetch_site="same-origin")
    require_access(own, Access.TASKS, on_a_laptop())


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
@pytest.mark.parametrize("body", [{"content_length": "2"}, {"transfer_encoding": "chunked"}])
def test_a_body_that_a_form_could_send_is_refused(media_type: str, body: dict[str, str]) -> None:
    with pytest.raises(Forbidden, match="application/json"):
        require_access(request("POST", content_type=media_type, **body), Access.TASKS, on_a_laptop())


def test_a_change_without_a_body_needs_no_type() -> None:
    require_access(request("POST", content_length="0"), Access.TASKS, on_a_laptop())
    require_access(request("DELETE"), Access.TASKS, on_a_laptop())


def test_with_a_token_a_request_may_come_from_anywhere() -> None:
    foreign = request("POST", host="queue.example", origin="https://shop.example", authorization=f"Bearer {TASK}")
    require_access(foreign, Access.TASKS, guarded())


@pytest.mark.parametrize(
    ("header", "token"),
    [("Bearer a.b", "a.b"), ("BEARER  x ", "x"), ("Bearer", None), ("", None), ("a Bearer b", None)],
)
def test_a_bearer_token_is_read_as_the_standard_says(header: str, token: str | None) -> None:
    assert bearer_token(header) == token
