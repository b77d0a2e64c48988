"""A visitor of the guarded site: through nginx into the box office, and out again."""

import time
from urllib.parse import urlsplit

import httpx

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PAGE = "/_queue/rooms/default"


def visit(url: str) -> tuple[str, int]:
    """Come to the site without a pass, get in as soon as the room lets one, leave; what was seen, and places taken."""
    with httpx.Client(base_url=url, headers={"Accept": "text/html", "Origin": url}, trust_env=False) as browser:
        told = browser.get("/seats", headers={"Accept": "application/json"})
        assert told.status_code == 429, f"a program without a pass: {told.status_code} {told.text}"
        assert browser.get("/metrics", headers={"Accept": "text/html"}).text.find("stanchion_") < 0
        how = _enter(browser)
        inside = browser.get("/seats")
        assert inside.status_code == 200, f"{inside.status_code} {inside.headers}"
        left = browser.post("/leave")
        assert (left.status_code, left.headers["location"]) == (303, "/bye"), left.text
        deadline = time.monotonic() + 10
        while browser.get("/seats", headers={"Accept": "application/json"}).status_code != 429:
            assert time.monotonic() < deadline, "the pass still counts after the visit has ended"
            time.sleep(0.1)
        return f"without a pass 429; {how}; inside; after leaving 429 again", 1


def _enter(browser: httpx.Client) -> str:
    """Get a pass: at once where there is room, else by the line."""
    came = browser.get("/seats")
    if came.status_code == 200:
        return "let straight in"
    assert came.status_code == 302, f"{came.status_code} {came.text}"
    page = urlsplit(came.headers["location"])
    assert page.path == PAGE
    posted = browser.post(f"{PAGE}/join?{page.query}", headers=FORM)
    assert posted.status_code == 303, posted.text
    deadline = time.monotonic() + 30
    while True:
        entered = browser.post(f"{PAGE}/enter?{page.query}", headers=FORM)
        assert entered.status_code == 303, entered.text
        if entered.headers["location"].endswith("/seats"):
            return "by the line"
        assert time.monotonic() < deadline, f"not let in: {entered.headers['location']}"
        time.sleep(0.3)
