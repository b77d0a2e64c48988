"""A command that meets a room which is being checked waits for it; any other refusal it hands on at once."""

import httpx
import pytest

from app.client import api
from app.client.api import Api, ApiError

HELD = {
    "type": "urn:stanchion:problem:joins-held",
    "title": "Joins are held",
    "detail": "The line is being checked.",
}


def answering(monkeypatch: pytest.MonkeyPatch, *answers: httpx.Response) -> list[httpx.Request]:
    """Have the next clients meet these answers in turn, the last of them again and again; gives what they ask."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answers[min(len(asked), len(answers)) - 1]

    client = httpx.Client
    monkeypatch.setattr(httpx, "Client", lambda **given: client(**given, transport=httpx.MockTransport(answer)))
    return asked


@pytest.fixture(autouse=True)
def time_passes(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock moves by what is slept, and nobody waits; gives the sleeps."""
    slept: list[float] = []
    monkeypatch.setattr(api.time, "monotonic", lambda: sum(slept))
    monkeypatch.setattr(api.time, "sleep", slept.append)
    return slept


def test_a_held_room_is_asked_again_until_it_answers(monkeypatch: pytest.MonkeyPatch, time_passes: list[float]) -> None:
    held = httpx.Response(503, json=HELD, headers={"retry-after": "1"})
    asked = answering(monkeypatch, held, held, httpx.Response(200, json={"name": "default"}))
    with Api("http://127.0.0.1:3000", None) as service:
        assert service.call("PATCH", "/admin/rooms/default", {"maxActive": 5}) == {"name": "default"}
    assert len(asked) == 3
    assert {request.content for request in asked} == {b'{"maxActive":5}'}
    assert time_passes == [1.0, 1.0]


def test_one_that_stays_held_is_told_of_in_the_end(monkeypatch: pytest.MonkeyPatch, time_passes: list[float]) -> None:
    answering(monkeypatch, httpx.Response(503, json=HELD, headers={"retry-after": "1"}))
    with Api("http://127.0.0.1:3000", None) as service, pytest.raises(ApiError, match="The line is being checked"):
        service.call("POST", "/admin/rooms/default/pause")
    assert sum(time_passes) == api.HELD_FOR_S


@pytest.mark.parametrize(
    "refusal",
    [
        httpx.Response(503, json={**HELD, "type": "urn:stanchion:problem:store-unavailable"}),
        httpx.Response(503, text="Service Unavailable"),
        httpx.Response(503, json=[1]),
        httpx.Response(409, json=HELD),
    ],
)
def test_another_refusal_is_no_reason_to_ask_again(monkeypatch: pytest.MonkeyPatch, refusal: httpx.Response) -> None:
    # A store that is away may have heard the request: whether to send it again is the operator's to say.
    asked = answering(monkeypatch, refusal)
    with Api("http://127.0.0.1:3000", None) as service, pytest.raises(ApiError):
        service.call("POST", "/admin/rooms/default/admit", {"count": 5})
    assert len(asked) == 1
