"""Taking a place to another device: the same place, by a code that works once, for minutes, and cannot be guessed."""

import json
import logging
import re
from typing import Any

import httpx
import pytest

from app.errors import StoreUnavailable
from app.rooms.offers import ALPHABET, FAILURES, OFFERS, digest, new_code
from app.store import keys
from app.web.qr import QUIET, qr_code
from tests.rooms.test_admission import ROOM, Visitors, bearer, shop
from tests.support.waiting import eventually

__all__ = ["shop"]

OWN_PAGE = {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-origin"}
FORM = OWN_PAGE | {"Accept": "text/html", "Content-Type": "application/x-www-form-urlencoded"}


async def offered(shop: Visitors, place: dict[str, Any], **query: str) -> dict[str, Any]:
    answer = await shop.client.post(f"{ROOM}/carry", headers=bearer(place), params=query)
    assert answer.status_code == 201, answer.text
    return answer.json()  # type: ignore[no-any-return]


async def take(shop: Visitors, code: str, **headers: str) -> httpx.Response:
    return await shop.client.post(f"{ROOM}/takeover", json={"code": code}, headers=headers)


async def test_the_other_device_gets_the_same_ticket_and_the_first_keeps_it(shop: Visitors) -> None:
    await shop.make(maxActive=1)
    first = [await shop.join() for _ in range(3)][2]
    offer = await offered(shop, first, target="/checkout?seat=12")
    taken = (await take(shop, offer["code"])).json()
    assert taken["place"]["token"] == first["token"]
    assert (taken["place"]["position"], taken["target"]) == (3, "/checkout?seat=12")
    assert (await shop.status(first))["position"] == 3
    assert (await shop.join())["position"] == 4


async def test_a_code_works_once_and_the_first_device_learns_of_it(shop: Visitors) -> None:
    await shop.make()
    place = await shop.join()
    offer = await offered(shop, place)
    look = f"{ROOM}/carry/{offer['offerId']}"
    assert (await shop.client.get(look, headers=bearer(place))).json()["state"] == "open"
    assert (await take(shop, offer["code"])).status_code == 200
    assert (await shop.client.get(look, headers=bearer(place))).json()["state"] == "taken"
    again = await take(shop, offer["code"])
    assert (again.status_code, again.json()["type"]) == (410, "urn:stanchion:problem:code-refused")
    gone = await shop.client.get(f"{ROOM}/carry/{'0' * 32}", headers=bearer(place))
    assert gone.json() == {"state": "over", "expiresInSeconds": 0.0}
    assert (await shop.client.get(look)).status_code == 401


async def test_a_lost_answer_may_be_asked_for_again_by_who_took_the_code_and_by_nobody_else(shop: Visitors) -> None:
    await shop.make()
    offer = await offered(shop, await shop.join())
    own = {"Idempotency-Key": "the-phone"}
    first, again = await take(shop, offer["code"], **own), await take(shop, offer["code"], **own)
    assert first.json()["place"]["token"] == again.json()["place"]["token"]
    assert (await take(shop, offer["code"], **{"Idempotency-Key": "another"})).status_code == 410


async def test_a_code_is_read_however_it_is_typed(shop: Visitors) -> None:
    await shop.make()
    for typed in (
        str.lower,
        lambda code: code.replace("-", " "),
        lambda code: code.replace("0", "o").replace("1", "l"),
    ):
        place = await shop.join()
        taken = await take(shop, typed((await offered(shop, place))["code"]))
        assert taken.json()["place"]["token"] == place["token"]


async def test_codes_are_random_and_hold_nothing_that_is_easily_misread() -> None:
    codes = {new_code() for _ in range(500)}
    assert len(codes) == 500
    assert set("".join(codes)) == set(ALPHABET) | {"-"}
    assert len(ALPHABET) ** 12 == 2**60
    assert len({digest(code) for code in codes}) == 500


async def test_the_store_holds_only_a_digest_of_the_code_and_not_for_long(shop: Visitors) -> None:
    await shop.make()
    place = await shop.join()
    offer = await offered(shop, place)
    client = shop.services.store.client
    found = [key.decode() for key in await client.keys("*")]
    assert not [key for key in found if offer["code"] in key or offer["code"].replace("-", "") in key]
    key = keys.room_offer("shop", offer["offerId"])
    assert key in found
    assert offer["code"].encode() not in await client.get(key)
    assert 0 < await client.pttl(key) <= 300_000
    await take(shop, offer["code"])
    assert 0 < await client.pttl(key) <= 300_000
    await client.delete(key)
    assert (await take(shop, offer["code"])).status_code == 410


async def test_the_code_is_in_the_links_fragment_and_in_no_log(
    shop: Visitors, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    await shop.make()
    caplog.set_level(logging.DEBUG)
    offer = await offered(shop, await shop.join())
    assert offer["link"] == f"http://localhost:3000/rooms/shop#place={offer['code']}"
    await take(shop, offer["code"])
    said = caplog.text + "".join(capfd.readouterr())
    assert offer["code"] not in said


async def test_a_place_is_offered_five_times_an_hour_and_no_more(shop: Visitors) -> None:
    await shop.make()
    place, other = await shop.join(), await shop.join()
    for _ in range(OFFERS):
        await offered(shop, place)
    refused = await shop.post("carry", place)
    assert (refused.status_code, refused.json()["type"]) == (429, "urn:stanchion:problem:too-many-codes")
    assert 0 < int(refused.headers["retry-after"]) <= 3600
    await offered(shop, other)


async def test_who_tries_many_codes_is_held_up_and_right_ones_do_not_count(shop: Visitors) -> None:
    await shop.make()
    for _ in range(FAILURES - 1):
        assert (await take(shop, new_code())).status_code == 410
    assert (await take(shop, (await offered(shop, await shop.join()))["code"])).status_code == 200
    assert (await take(shop, new_code())).status_code == 410
    offer = await offered(shop, await shop.join())
    held = await take(shop, offer["code"])
    assert held.status_code == 429
    assert 0 < int(held.headers["retry-after"]) <= 60


async def test_a_visit_does_not_travel_nor_a_place_that_is_over(shop: Visitors) -> None:
    await shop.make()
    inside, gone = await shop.join(), await shop.join()
    await shop.post("enter", inside)
    await shop.has_status(inside, "entered")
    assert (await shop.post("carry", inside)).status_code == 409
    await shop.post("leave", gone)
    await shop.has_status(gone, "ended")
    refused = await shop.post("carry", gone)
    assert (refused.status_code, refused.json()["visitStatus"]) == (410, "ended")


async def test_a_room_may_keep_places_on_the_device_that_took_them(shop: Visitors) -> None:
    await shop.make(carry=False)
    place = await shop.join()
    assert (await shop.post("carry", place)).status_code == 403
    assert (await take(shop, new_code())).status_code == 403
    assert 'id="carry"' not in (await shop.client.get(ROOM)).text


async def test_a_code_of_another_room_holds_nothing_here(shop: Visitors) -> None:
    await shop.make()
    offer = await offered(shop, await shop.join())
    assert (await shop.client.post("/rooms/default/takeover", json={"code": offer["code"]})).status_code == 410


async def test_pages_of_other_sites_can_neither_offer_nor_take(shop: Visitors) -> None:
    await shop.make()
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    place = await shop.join()
    offer = await offered(shop, place)
    shop.client.cookies.set("stanchion-ticket-shop", place["token"])
    assert (await shop.client.post(f"{ROOM}/carry", headers=foreign)).status_code == 403
    assert (await take(shop, offer["code"], **foreign)).status_code == 403
    assert (await take(shop, offer["code"])).status_code == 200


async def test_without_scripts_the_page_shows_link_picture_and_code(shop: Visitors) -> None:
    await shop.make()
    await shop.client.post(f"{ROOM}/join", headers=FORM)
    page = await shop.client.post(f"{ROOM}/carry?target=%2Fcheckout", headers=FORM)
    assert page.status_code == 200
    code = re.search(r'<code id="offer-code" dir="ltr">([0-9A-Z-]{14})</code>', page.text)
    assert code is not None
    assert f'href="http://localhost:3000/rooms/shop#place={code[1]}"' in page.text
    assert re.search(
        r'<svg [^>]*role="img" aria-label="QR code of the link" viewBox="0 0 (\d+) \1"><path d="M', page.text
    )
    assert '<a href="../shop?target=%2Fcheckout">Back to your place</a>' in page.text
    assert 'content="300;url=../shop?target=%2Fcheckout"' in page.text
    assert 'href="../../static/v-' in page.text
    device = httpx.AsyncClient(transport=shop.client._transport, base_url=shop.client.base_url)
    posted = await device.post(f"{ROOM}/takeover", headers=FORM, content=f"code={code[1].lower()}")
    assert (posted.status_code, posted.headers["location"]) == (303, "../shop?target=%2Fcheckout")
    assert device.cookies["stanchion-ticket-shop"] == shop.client.cookies["stanchion-ticket-shop"]
    again = await device.post(f"{ROOM}/takeover", headers=FORM, content=f"code={code[1]}")
    assert again.headers["location"] == "../shop?problem=code-refused"
    assert "This code does not hold" in (await device.get(f"{ROOM}?problem=code-refused")).text


async def test_a_place_that_the_device_had_before_is_given_up(shop: Visitors) -> None:
    await shop.make(maxActive=1)
    offer = await offered(shop, await shop.join())
    await shop.client.post(f"{ROOM}/join", headers=FORM)
    own = {"token": shop.client.cookies["stanchion-ticket-shop"]}
    await shop.has_status(own, "waiting")
    await take(shop, offer["code"], **OWN_PAGE)
    await shop.has_status(own, "ended")
    offer = await offered(shop, {"token": shop.client.cookies["stanchion-ticket-shop"]})
    assert (await take(shop, offer["code"], **OWN_PAGE)).json()["place"][
        "status"
    ] == "active"  # its own: nothing is lost


async def test_after_a_reset_a_code_brings_a_ticket_that_says_so(shop: Visitors) -> None:
    await shop.make()
    offer = await offered(shop, await shop.join())
    await shop.services.operator.control("shop", "reset", "test")
    await eventually(lambda: shop.services.rooms.get("shop").snapshot.epoch == 2)  # type: ignore[union-attr]
    assert (await take(shop, offer["code"])).json()["place"]["status"] == "reset"


@pytest.mark.parametrize("body", ["", "{}", '{"code": ""}', json.dumps({"code": "x" * 41}), '{"code": 7}', "nonsense"])
async def test_what_is_no_code_at_all_is_refused_with_a_reason(shop: Visitors, body: str) -> None:
    await shop.make()
    refused = await shop.client.post(f"{ROOM}/takeover", content=body)
    assert refused.status_code == 400
    assert refused.json()["detail"]


async def test_a_host_that_no_picture_could_hold_is_refused(shop: Visitors) -> None:
    await shop.make(maxActive=1)
    place = [await shop.join() for _ in range(2)][1]
    refused = await shop.client.post(f"{ROOM}/carry", headers=bearer(place) | {"Host": "x" * 3000})
    assert refused.status_code == 400


async def test_a_form_with_more_fields_than_ours_is_read_as_any(shop: Visitors) -> None:
    await shop.make()
    answer = await shop.client.post(f"{ROOM}/takeover", content="code=x" + "&a=b" * 50, headers=FORM)
    assert (answer.status_code, "code-refused" in answer.headers["location"]) == (303, True)


def test_the_picture_is_the_code_module_by_module() -> None:
    import segno

    link = "https://tickets.example/_queue/rooms/summer-festival#place=K7QM-2XHD-9TFA"
    picture = qr_code(link)
    drawn = [[0] * picture.size for _ in range(picture.size)]
    for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", picture.path):
        for i in range(int(length)):
            drawn[int(y)][int(x) + i] = 1
    inner = [row[QUIET:-QUIET] for row in drawn[QUIET:-QUIET]]
    assert inner == [list(row) for row in segno.make(link, error="q", micro=False, boost_error=False).matrix]
    assert not any(any(row) for row in drawn[:QUIET] + drawn[-QUIET:])


async def test_with_the_store_away_both_sides_are_told_to_try_again_and_the_code_is_not_used_up(
    shop: Visitors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable

    await shop.make()
    place = await shop.join()
    offer = await offered(shop, place)
    with monkeypatch.context() as away:
        away.setattr(shop.services.store, "run", refuse)
        for answer in (await shop.post("carry", place), await take(shop, offer["code"])):
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        form = await shop.client.post(f"{ROOM}/takeover", headers=FORM, content=f"code={offer['code']}")
        assert form.headers["location"] == "../shop?problem=store-unavailable"
    assert (await take(shop, offer["code"])).status_code == 200


async def test_a_form_with_more_fields_than_the_pages_is_read_like_any_other(shop: Visitors) -> None:
    await shop.make()
    offer = await offered(shop, await shop.join())
    posted = await shop.client.post(
        f"{ROOM}/takeover", headers=FORM, content=f"a=1&b=2&c&d=&e=5&f=6&code={offer['code']}"
    )
    assert (posted.status_code, posted.headers["location"]) == (303, "../shop")


async def test_a_host_header_longer_than_any_hosts_name_is_refused_and_uses_up_no_code(shop: Visitors) -> None:
    await shop.make()
    place = await shop.join()
    for _ in range(OFFERS + 1):
        refused = await shop.client.post(f"{ROOM}/carry", headers=bearer(place) | {"Host": "a" * 2000})
        assert refused.status_code == 400
    assert (await shop.post("carry", place)).status_code == 201
