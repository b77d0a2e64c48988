"""The transport that makes one write of a head and a body."""

import asyncio
from unittest.mock import Mock, call

from app.web.joined_writes import JoinedWrites


def _transport() -> tuple[JoinedWrites, Mock]:
    inner = Mock(**{"is_closing.return_value": False})
    return JoinedWrites(inner, asyncio.get_running_loop()), inner


async def test_what_is_written_within_one_turn_leaves_as_one_in_order() -> None:
    joined, inner = _transport()
    joined.write(b"head, ")
    joined.write(b"body")
    assert inner.write.call_args_list == []
    await asyncio.sleep(0)
    assert inner.write.call_args_list == [call(b"head, body")]
    joined.write(b"next")
    await asyncio.sleep(0)
    assert inner.write.call_args_list == [call(b"head, body"), call(b"next")]


async def test_closing_writes_what_is_pending_first_and_once() -> None:
    joined, inner = _transport()
    joined.write(b"last words")
    joined.close()
    await asyncio.sleep(0)
    assert inner.mock_calls == [call.is_closing(), call.write(b"last words"), call.close()]


async def test_nothing_is_written_to_a_connection_that_is_gone() -> None:
    joined, inner = _transport()
    inner.is_closing.return_value = True
    joined.write(b"too late")
    await asyncio.sleep(0)
    assert inner.write.call_args_list == []


async def test_everything_else_is_the_inner_transports() -> None:
    joined, inner = _transport()
    joined.pause_reading()
    assert joined.get_extra_info("peername") is inner.get_extra_info("peername")
    assert inner.pause_reading.called
