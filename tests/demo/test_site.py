"""The box office against a running service: seats are ID locks, payments are tasks."""

import asyncio
import re
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from app.client.locks import LockClient
from app.demo.hall import find_seat, seats_of
from app.demo.payments import receipt_of
from app.demo.site import SiteOptions
from tests.demo.conftest import Visitors, bank_clerk, open_site
from tests.support.live import LiveApp
from tests.support.waiting import SLACK_S, eventually


async def pick(visitor: httpx.AsyncClient, seat: str) -> httpx.Response:
    return await visitor.post("/seats", data={"seat": seat})


async def pay(visitor: httpx.AsyncClient, card: str = "good") -> str:
    """Press the button of the checkout; the order's address."""
    found = re.search(r'name="order" value="([^"]+)"', (await visitor.get("/checkout")).text)
    assert found
    answer = await visitor.post("/pay", data={"order": found[1], "card": card})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def state_of(visitor: httpx.AsyncClient, order: str) -> str:
    return (await visitor.get(f"{order}.json")).json()["state"]


async def settled(visitor: httpx.AsyncClient, order: str, state: str) -> str:
    """Wait for an order's end; its page."""

    async def there() -> bool:
        return await state_of(visitor, order) == state

    await eventually(there, within_s=20)
    return (await visitor.get(order)).text


async def test_a_second_visitor_gets_423_while_the_first_looks_at_a_seat(site: Visitors) -> None:
    ada, bob = await site.come(), await site.come()
    assert (await pick(ada, "C7")).headers["location"] == "/checkout"
    refused = await pick(bob, "C7")
    assert refused.status_code == 423
    assert int(refused.headers["retry-after"]) >= 1
    assert "Someone else is looking at seat C7" in refused.text
    assert (await bob.get("/seats.json")).json()["seats"]["C7"] == "held"
    assert (await ada.get("/seats.json")).json()["seats"]["C7"] == "yours"
    assert (await pick(bob, "C8")).status_code == 303


async def test_picking_another_seat_lets_go_of_the_first(site: Visitors) -> None:
    ada, bob = await site.come(), await site.come()
    await pick(ada, "A1")
    await pick(ada, "A2")
    assert (await pick(bob, "A1")).status_code == 303
    assert (await pick(ada, "A1")).status_code == 423
    assert "Seat A2 is kept for you" in (await ada.get("/checkout")).text


async def test_leaving_gives_the_seat_back_and_tells_the_gate(site: Visitors) -> None:
    ada, bob = await site.come(), await site.come()
    await pick(ada, "B3")
    left = await ada.post("/leave")
    assert (left.status_code, left.headers["x-waiting-room-end"]) == (303, "end")
    assert (await pick(bob, "B3")).status_code == 303


async def test_a_hold_is_renewed_while_the_visitor_decides_and_ends_with_the_time(live: LiveApp) -> None:
    async with open_site(SiteOptions(live.url, lease_s=3.0, decide_s=8.0)) as site:
        ada, bob = await site.come(), await site.come()
        await pick(ada, "D4")
        async with LockClient(live.url) as locks:
            fences, lefts = set(), [3000]

            async def renewed_beyond_its_first_lease() -> bool:
                """A lease's rest only ever falls, unless it is renewed, which happens three times a lease."""
                [holder] = (await locks.look("box-office/1/D4"))["holders"]
                fences.add(holder["fence"])
                lefts.append(holder["leaseLeftMs"])
                return sum(later > earlier for earlier, later in pairwise(lefts)) >= 4

            await eventually(renewed_beyond_its_first_lease)  # within the eight seconds
            assert len(fences) == 1

        async def free() -> bool:
            return (await pick(bob, "D4")).status_code == 303

        await eventually(free, within_s=20)
        assert (await ada.get("/checkout")).status_code == 410


async def test_a_dead_sites_seats_are_free_when_their_leases_end(live: LiveApp) -> None:
    async with LockClient(live.url) as locks, open_site(SiteOptions(live.url)) as site:
        await locks.acquire("box-office/1/E5", lease_s=5.0, owner="a site that has died")
        visitor = await site.come()
        assert (await pick(visitor, "E5")).status_code == 423

        async def free() -> bool:
            return (await pick(visitor, "E5")).status_code == 303

        await eventually(free, within_s=5 + SLACK_S)


@pytest.mark.usefixtures("quick_bank")
async def test_paying_is_a_task_that_a_worker_finishes(live: LiveApp, site: Visitors) -> None:
    ada = await site.come()
    await pick(ada, "C7")
    order = await pay(ada)
    assert await state_of(ada, order) == "paying"
    assert "Your payment is on its way" in (await ada.get(order)).text
    async with bank_clerk(live.url):
        shown = await settled(ada, order, "paid")
    assert receipt_of(order.rpartition("/")[2]) in shown
    assert (await pick(await site.come(), "C7")).status_code == 409


@pytest.mark.usefixtures("quick_bank")
async def test_pressing_the_button_twice_pays_once(live: LiveApp, site: Visitors) -> None:
    ada = await site.come()
    await pick(ada, "C7")
    checkout = (await ada.get("/checkout")).text
    [order_id] = re.findall(r'name="order" value="([^"]+)"', checkout)
    form = {"order": order_id, "card": "good"}
    answers = [await ada.post("/pay", data=form) for _ in range(3)]
    assert {answer.headers["location"] for answer in answers} == {f"/orders/{order_id}"}
    async with bank_clerk(live.url) as clerk:
        await settled(ada, f"/orders/{order_id}", "paid")
        stats = await clerk.client.stats("box-office")
    assert (stats["completed"], stats["pending"], stats["processing"]) == (1, 0, 0)


@pytest.mark.usefixtures("quick_bank")
async def test_a_refused_card_frees_the_seat_and_a_busy_bank_is_asked_again(live: LiveApp, site: Visitors) -> None:
    ada, bob = await site.come(), await site.come()
    await pick(ada, "F1")
    empty = await pay(ada, "empty")
    async with bank_clerk(live.url):
        assert "The bank refused the card." in await settled(ada, empty, "failed")
        await pick(bob, "F1")
        await settled(bob, await pay(bob, "slow"), "paid")


@pytest.mark.usefixtures("quick_bank")
async def test_an_order_outlives_the_site(live: LiveApp, tmp_path: Path) -> None:
    options = SiteOptions(live.url, ledger_path=tmp_path / "ledger.db")
    async with open_site(options) as site:
        ada = await site.come()
        await pick(ada, "A10")
        order = await pay(ada)
        cookies = dict(ada.cookies)
    async with bank_clerk(live.url), open_site(options) as site:
        ada = await site.come()
        ada.cookies.update(cookies)
        await settled(ada, order, "paid")


@pytest.mark.usefixtures("quick_bank")
async def test_a_frozen_visitors_lost_hold_cannot_buy_the_seat(
    live: LiveApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes of the site, one of which stops renewing; somebody else has held the seat in between."""
    options = SiteOptions(live.url, ledger_path=tmp_path / "ledger.db", lease_s=4.0)
    async with open_site(options) as frozen, open_site(options) as other, bank_clerk(live.url):
        ada, bob = await frozen.come(), await other.come()
        await pick(ada, "B2")
        monkeypatch.setattr(frozen.office["holds"]._locks, "renew", lambda _: asyncio.Event().wait())

        async def bob_has_it() -> bool:
            return (await pick(bob, "B2")).status_code == 303

        await eventually(bob_has_it, within_s=4 + SLACK_S)
        await settled(bob, await pay(bob, "empty"), "failed")
        found = re.search(r'name="order" value="([^"]+)"', (await ada.get("/checkout")).text)
        assert found
        late = await ada.post("/pay", data={"order": found[1], "card": "good"})
        assert late.status_code == 409
        assert "Nothing was paid" in late.text
        assert frozen.office["ledger"].order(found[1]) is None


async def test_nobody_sees_or_uses_another_visitors_order(site: Visitors) -> None:
    ada, eve = await site.come(), await site.come()
    await pick(ada, "B2")
    [order_id] = re.findall(r'name="order" value="([^"]+)"', (await ada.get("/checkout")).text)
    assert (await eve.post("/pay", data={"order": order_id, "card": "good"})).status_code == 410
    order = await pay(ada)
    assert (await eve.get(order)).status_code == 404
    assert (await eve.get(f"{order}.json")).status_code == 404


async def test_without_the_service_it_says_so_and_sells_nothing(live: LiveApp) -> None:
    async with open_site(SiteOptions("http://127.0.0.1:9")) as site:
        answer = await pick(await site.come(), "A1")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert "cannot be kept for anybody right now" in answer.text


async def test_forms_of_other_sites_and_nonsense_are_refused(site: Visitors) -> None:
    visitor = await site.come()
    evil = {"origin": "https://evil.example"}
    for path in ("/seats", "/pay", "/leave", "/let-go"):
        assert (await visitor.post(path, data={"seat": "A1"}, headers=evil)).status_code == 403
        crossed = await visitor.post(path, data={"seat": "A1"}, headers={"sec-fetch-site": "cross-site"})
        assert crossed.status_code == 403
    renamed = {"origin": "https://shop.example", "sec-fetch-site": "same-origin"}  # a proxy has changed `Host`
    assert (await visitor.post("/seats", data={"seat": "A1"}, headers=renamed)).status_code == 303
    assert (await pick(visitor, "Z99")).status_code == 422
    assert (await visitor.get("/nowhere")).status_code == 404
    await pick(visitor, "A1")
    [order_id] = re.findall(r'name="order" value="([^"]+)"', (await visitor.get("/checkout")).text)
    unknown = await visitor.post("/pay", data={"order": order_id, "card": "<script>"})
    assert unknown.status_code == 422
    assert "Please choose a card" in unknown.text


async def test_every_page_carries_a_strict_policy(site: Visitors) -> None:
    visitor = await site.come()
    for path in ("/", "/seats", "/bye", "/nowhere"):
        answer = await visitor.get(path)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=", answer.text)


def test_the_hall_has_sixty_seats_and_no_others() -> None:
    names = [seat.name for row in seats_of(3) for seat in row]
    assert len(set(names)) == 60
    assert all(find_seat(3, name) is not None for name in names)
    assert [find_seat(3, name) for name in ("A0", "A11", "G1", "a1", "A1 ", "", "A01", "A1\n")] == [None] * 8
