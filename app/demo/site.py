"""The box office's site: server-rendered, works without scripts, and knows nothing of the waiting room in front of it.

The only thing it says to the gate is `X-Waiting-Room-End: end`, when a visitor leaves.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TypedDict

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app.client.locks import LockClient, LockError, LockHeldError
from app.client.tasks import TaskClient
from app.demo.cashier import Cashier
from app.demo.hall import SEATS, find_seat, seats_of
from app.demo.holds import DECIDE_S, LEASE_S, Holds
from app.demo.ledger import HoldOutlived, Ledger, Order, SeatTaken
from app.demo.pages import FOLDER, SECURITY_HEADERS, from_own_page, go, page, visitor_of
from app.demo.payments import CARDS

OPEN_PATHS = ("/static/", "/bye", "/tour", "/tour.json", "/livez")
"""What needs no place in line: the gate lets these through, and so may a proxy."""


@dataclass(frozen=True)
class Tour:
    """The other things to look at besides the site."""

    line: str
    """The path of the room's pages on this site's own host."""
    inside: int
    """How many may be inside at a time."""
    dashboard_url: str


@dataclass(frozen=True)
class SiteOptions:
    """Where the service is, and how the box office works with it."""

    service_url: str
    lock_token: str | None = None
    task_token: str | None = None
    ledger_path: Path | None = None
    """None: sales are forgotten when the site stops."""
    lease_s: float = LEASE_S
    decide_s: float = DECIDE_S
    tour: Tour | None = None
    """What the page `/tour` shows; None: there is none."""


class Office(TypedDict):
    """What the pages work with: the lifespan's state."""

    ledger: Ledger
    holds: Holds
    cashier: Cashier
    tour: Tour | None


async def front(request: Request) -> Response:
    """What is on."""
    ledger: Ledger = request.state.ledger
    evening = ledger.evening()
    orders = [order for order in ledger.orders_of(visitor_of(request)) if order.state != "failed"]
    return page(request, "front.html", evening=evening, left=SEATS - len(ledger.taken(evening)), orders=orders)


async def seat_map(request: Request) -> Response:
    """The hall, seat by seat."""
    return _map(request)


async def seat_states(request: Request) -> Response:
    """The same for the page's script."""
    evening = request.state.ledger.evening()
    headers = {"cache-control": "no-store"}
    return JSONResponse({"evening": evening, "seats": _states(request, evening)}, headers=headers)


async def pick(request: Request) -> Response:
    """Take a seat's lock, and let go of the seat held before. 423: somebody else is looking at it."""
    from_own_page(request)
    form = await request.form()
    ledger: Ledger = request.state.ledger
    evening = ledger.evening()
    seat = find_seat(evening, str(form.get("seat", "")))
    if seat is None:
        return _map(request, 422, "There is no such seat. Please choose one from the plan.")
    if seat.name in ledger.taken(evening):
        return _map(request, 409, f"Seat {seat.name} has just been sold. Please choose another one.")
    try:
        await request.state.holds.take(visitor_of(request), seat)
    except LockHeldError as held:
        return _map(
            request,
            423,
            f"Someone else is looking at seat {seat.name}. Choose another one, or try again in a while: "
            "they have two minutes to decide.",
            retry_after_s=held.retry_after_s,
        )
    return go(request, "/checkout")


async def let_go(request: Request) -> Response:
    """Give the seat back and choose again."""
    from_own_page(request)
    await request.state.holds.let_go(visitor_of(request))
    return go(request, "/seats")


async def checkout(request: Request) -> Response:
    """The seat, its price, and how to pay."""
    hold = request.state.holds.of(visitor_of(request))
    if hold is None:
        return _map(request, 410, "No seat is kept for you at the moment: please choose one.")
    return page(request, "checkout.html", hold=hold, cards=CARDS)


async def pay(request: Request) -> Response:
    """Make the hold an order. Pressing the button twice leads to the same order."""
    from_own_page(request)
    form = await request.form()
    visitor = visitor_of(request)
    order = _own_order(request, str(form.get("order", "")))
    if order is None:
        hold = request.state.holds.of(visitor)
        if hold is None or hold.order_id != form.get("order"):
            return _map(request, 410, "Your time for this seat was over. Nothing was paid; please choose again.")
        card = str(form.get("card", ""))
        if card not in CARDS:
            return page(request, "checkout.html", 422, hold=hold, cards=CARDS, problem="Please choose a card.")
        try:
            order = request.state.cashier.take(hold, card)
        except (SeatTaken, HoldOutlived):
            await request.state.holds.let_go(visitor)
            return _map(request, 409, f"Seat {hold.seat.name} went to somebody else. Nothing was paid.")
        await request.state.holds.let_go(visitor)  # from here on the ledger keeps the seat
    return go(request, f"/orders/{order.id}")


async def show_order(request: Request) -> Response:
    """How an order stands."""
    order = _own_order(request, request.path_params["order"])
    if order is None:
        raise HTTPException(404)
    return page(request, "order.html", order=order)


async def order_state(request: Request) -> Response:
    """The same for the page's script."""
    order = _own_order(request, request.path_params["order"])
    if order is None:
        raise HTTPException(404)
    return JSONResponse({"state": order.state, "outcome": order.outcome}, headers={"cache-control": "no-store"})


async def leave(request: Request) -> Response:
    """End the visit: the seat is given back, and the gate is told."""
    from_own_page(request)
    await request.state.holds.let_go(visitor_of(request))
    return go(request, "/bye", {"x-waiting-room-end": "end"})


async def bye(request: Request) -> Response:
    """After the visit; needs no place in line."""
    return page(request, "bye.html")


async def show_tour(request: Request) -> Response:
    """Everything in one window: the site as a visitor has it, the line, the hall."""
    tour: Tour | None = request.state.tour
    if tour is None:
        raise HTTPException(404)
    evening = request.state.ledger.evening()
    return page(request, "tour.html", tour=tour, rows=seats_of(evening))


async def hall_state(request: Request) -> Response:
    """The hall as everybody may see it."""
    evening = request.state.ledger.evening()
    taken, looked_at = request.state.ledger.taken(evening), request.state.holds.names(evening)
    held = sorted(looked_at - taken)
    answer = {"evening": evening, "sold": sorted(taken), "held": held, "seats": SEATS}
    return JSONResponse(answer, headers={"cache-control": "no-store"})


async def livez(_: Request) -> Response:
    """For whoever watches this process."""
    return Response("ok\n", media_type="text/plain")


def _own_order(request: Request, order_id: str) -> Order | None:
    order: Order | None = request.state.ledger.order(order_id)
    return order if order is not None and order.visitor == visitor_of(request) else None


def _states(request: Request, evening: int) -> dict[str, str]:
    taken, looked_at = request.state.ledger.taken(evening), request.state.holds.names(evening)
    hold = request.state.holds.of(visitor_of(request))
    states = {}
    for row in seats_of(evening):
        for seat in row:
            if hold is not None and seat == hold.seat:
                states[seat.name] = "yours"
            elif seat.name in taken:
                states[seat.name] = "sold"
            else:
                states[seat.name] = "held" if seat.name in looked_at else "free"
    return states


def _map(request: Request, status: int = 200, problem: str = "", retry_after_s: float | None = None) -> Response:
    evening = request.state.ledger.evening()
    response = page(
        request,
        "seats.html",
        status,
        evening=evening,
        rows=seats_of(evening),
        states=_states(request, evening),
        hold=request.state.holds.of(visitor_of(request)),
        problem=problem,
    )
    if retry_after_s is not None:
        response.headers["retry-after"] = str(ceil(retry_after_s))
    return response


async def on_http_exception(request: Request, error: Exception) -> Response:
    """A page also for what went wrong."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    problem = {
        403: "Another site sent you here with a form that it should not have. Nothing was changed.",
        404: "There is nothing here, or it is not yours to see.",
        405: "This address does not do that.",
    }.get(status, "That did not work.")
    return page(request, "trouble.html", status, problem=problem)


async def on_lock_error(request: Request, error: Exception) -> Response:
    """The service that keeps the seats' locks refused or is away: say so, and keep everything as it was."""
    problem = f"The seats cannot be kept for anybody right now; please try again in a moment. ({error})"
    response = page(request, "trouble.html", 503, problem=problem)
    response.headers["retry-after"] = "3"
    return response


class _Static(StaticFiles):
    """The site's styles and scripts."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = "no-cache"
        response.headers["x-content-type-options"] = SECURITY_HEADERS["x-content-type-options"]
        return response


def create_site(options: SiteOptions) -> Starlette:
    """The site, without any gate in front of it."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[Office]:
        ledger = Ledger(options.ledger_path)
        async with (
            LockClient(options.service_url, options.lock_token) as locks,
            TaskClient(options.service_url, options.task_token) as tasks,
        ):
            holds = Holds(locks, lease_s=options.lease_s, decide_s=options.decide_s)
            cashier = Cashier(ledger, tasks)
            cashier.start()
            try:
                yield {"ledger": ledger, "holds": holds, "cashier": cashier, "tour": options.tour}
            finally:
                await cashier.aclose()
                await holds.aclose()
                ledger.close()

    return Starlette(
        routes=[
            Route("/", front),
            Route("/seats", seat_map),
            Route("/seats", pick, methods=["POST"]),
            Route("/seats.json", seat_states),
            Route("/let-go", let_go, methods=["POST"]),
            Route("/checkout", checkout),
            Route("/pay", pay, methods=["POST"]),
            Route("/orders/{order}.json", order_state),
            Route("/orders/{order}", show_order),
            Route("/leave", leave, methods=["POST"]),
            Route("/bye", bye),
            Route("/tour", show_tour),
            Route("/tour.json", hall_state),
            Route("/livez", livez),
            Mount("/static", _Static(directory=FOLDER / "static")),
        ],
        exception_handlers={HTTPException: on_http_exception, LockError: on_lock_error},
        lifespan=lifespan,
    )
