"""ID locks over HTTP: work under a lock at `/lock` and `/request/{id}`, the lock itself at `/locks/{id}`."""

from typing import Annotated
from urllib.parse import unquote_to_bytes

from pydantic import Field
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response

from app.errors import InvalidInput
from app.locks.model import MAX_LIMIT, MAX_OWNER_CHARS, MIN_LEASE_MS, Grant, LockView, Wanted, checked_id
from app.web.access import Access
from app.web.bodies import NO_STORE, Wire, answer, read_body, read_query
from app.web.inbox import ClientGone, answerable, until_client_hangs_up
from app.web.operations import Answer, Operation, services_of
from app.web.under_lock import CLIENT_GONE, UnderLock, WorkDone

TOKEN_HEADER = "X-Lock-Token"  # noqa: S105  # the name of a header
FORWARDED_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


class AnyText(Convertor[str]):
    """The rest of the path, whatever it holds: slashes, line breaks, nothing at all."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("lockid", AnyText())

Milliseconds = Annotated[int, Field(strict=True, ge=0)]


class LockQuery(Wire):
    """Which id to lock."""

    id: str = Field(min_length=1, description="The id; any characters, up to 512 bytes.")


class LockRequest(Wire):
    """A lock that a program asks for."""

    lease_ms: Annotated[int, Field(strict=True, ge=MIN_LEASE_MS)] | None = Field(
        None, description="How long it is yours without a renewal. Default: `LOCK_LEASE`."
    )
    wait_ms: Milliseconds = Field(0, description="How long to stand in line; 0 is refused at once with 423.")
    limit: Annotated[int, Field(strict=True, ge=1, le=MAX_LIMIT)] = Field(
        1, description="How many may hold it together: above 1 it is a semaphore."
    )
    owner: str = Field("", max_length=MAX_OWNER_CHARS, description="Who you are, for the operator's eyes.")


class LockRenewal(Wire):
    """A lease that is to run from now."""

    lease_ms: Annotated[int, Field(strict=True, ge=MIN_LEASE_MS)] | None = Field(
        None, description="How long it is yours from now. Default: `LOCK_LEASE`."
    )


class LockGrant(Wire):
    """A lock that is yours."""

    id: str
    token: str = Field(description=f"Your proof: send it as `{TOKEN_HEADER}` to renew and release.")
    fence: int = Field(description="Rises with every grant of this id; let the resource refuse a lower one.")
    lease_ms: int
    expires_at_ms: int = Field(description="When the lease ends, by the store's clock (milliseconds since 1970).")
    waited_ms: float | None = None


class LockHolder(Wire):
    """One holder, as anybody may see it."""

    fence: int
    owner: str
    replica: str
    held_for_ms: int
    lease_left_ms: int


class LockState(Wire):
    """How a lock stands."""

    id: str
    held: bool
    limit: int
    waiters: int
    last_fence: int
    holders: list[LockHolder]


class HeldQuery(Wire):
    """How many to list."""

    limit: int = Field(100, ge=1, le=1000, description="How many to list at most, the soonest to end first.")


class HeldLocks(Wire):
    """What is held now. A lock shows within a second or two of being taken."""

    total: int = Field(description="How many locks were held a moment ago.")
    locks: list[LockState]


async def lock(request: Request) -> Response:
    """Take the lock, do the work, answer; 423 at once when the id is held."""
    services = services_of(request)
    lock_id = checked_id(read_query(request, LockQuery).id)
    lease_ms = int(services.settings.lock_lease * 1000)
    wanted = Wanted(lock_id, lease_ms, owner=services.settings.app_name)
    request.scope["query_string"] = b""
    return UnderLock(services, wanted, request, ask_again=False)


async def through(request: Request) -> Response:
    """Wait in line for the id, then do the work under its lock."""
    services = services_of(request)
    settings = services.settings
    wanted = Wanted(
        _id_of(request), int(settings.lock_lease * 1000), int(settings.lock_wait * 1000), owner=settings.app_name
    )
    return UnderLock(services, wanted, request, ask_again=True)


async def take(request: Request) -> Response:
    """Give a lock to a program."""
    services = services_of(request)
    asked = await read_body(request, LockRequest, required=False)
    lease_ms = _lease_ms(request, asked.lease_ms)
    if asked.wait_ms > services.settings.lock_max_wait * 1000:
        raise InvalidInput(f"waitMs may be at most {services.settings.lock_max_wait * 1000:.0f}.")
    wanted = Wanted(_id_of(request), lease_ms, asked.wait_ms, asked.limit, asked.owner)
    try:
        async with until_client_hangs_up(request.receive) as inbox:
            grant = await services.locks.acquire(wanted)
            await answerable(inbox, lambda: services.locks.give_up(grant))
    except ClientGone:
        return Response(status_code=CLIENT_GONE)
    return answer(_grant(grant), 201)


async def renew(request: Request) -> Response:
    """Let a lease run from now."""
    asked = await read_body(request, LockRenewal, required=False)
    lease_ms = _lease_ms(request, asked.lease_ms)
    grant = await services_of(request).locks.renew(_id_of(request), _token_of(request), lease_ms)
    return answer(_grant(grant).model_copy(update={"waited_ms": None}))


async def release(request: Request) -> Response:
    """Give a lock up; again: the same answer."""
    await services_of(request).locks.release(_id_of(request), _token_of(request))
    return Response(status_code=204, headers=NO_STORE)


async def look(request: Request) -> Response:
    """Who holds a lock, for how long still, and how many wait."""
    return answer(_state(await services_of(request).locks.look(_id_of(request))))


async def held(request: Request) -> Response:
    """For the operator: what is held."""
    total, views = await services_of(request).locks.held(read_query(request, HeldQuery).limit)
    return answer(HeldLocks(total=total, locks=[_state(view) for view in views]))


def _id_of(request: Request) -> str:
    """The id in the path, decoded once; bytes that are no text are refused rather than replaced."""
    try:
        unquote_to_bytes(request.scope.get("raw_path") or b"").decode()
    except UnicodeDecodeError:
        raise InvalidInput("The id is not valid UTF-8 text.") from None
    return checked_id(request.path_params["id"])


def _token_of(request: Request) -> str:
    token: str = request.headers.get(TOKEN_HEADER, "")
    if not 1 <= len(token) <= 100 or not token.isascii():
        raise InvalidInput(f"Send the token that you were given with the lock as {TOKEN_HEADER}.")
    return token


def _lease_ms(request: Request, asked_ms: int | None) -> int:
    settings = services_of(request).settings
    if asked_ms is None:
        return int(settings.lock_lease * 1000)
    if asked_ms > settings.lock_max_lease * 1000:
        raise InvalidInput(f"leaseMs may be at most {settings.lock_max_lease * 1000:.0f}; renew instead.")
    return asked_ms


def _grant(grant: Grant) -> LockGrant:
    return LockGrant(
        id=grant.lock_id,
        token=grant.token,
        fence=grant.fence,
        lease_ms=grant.lease_ms,
        expires_at_ms=grant.granted_ms + grant.lease_ms,
        waited_ms=round(grant.waited_s * 1000, 3),
    )


def _state(view: LockView) -> LockState:
    return LockState(
        id=view.lock_id,
        held=bool(view.holders),
        limit=view.limit,
        waiters=view.waiters,
        last_fence=view.last_fence,
        holders=[
            LockHolder(
                fence=holder.fence,
                owner=holder.owner,
                replica=holder.replica,
                held_for_ms=max(view.now_ms - holder.since_ms, 0),
                lease_left_ms=holder.lease_left_ms,
            )
            for holder in view.holders
        ],
    )


_TOKEN_HEADERS = {TOKEN_HEADER: "The token that came with the lock; required."}
_WORK = Answer(
    "The work was done: the simulated work's account, or the upstream's own answer with any status.",
    WorkDone,
    {"X-Fence": "The fencing token of the lock.", "Server-Timing": "How long the wait and the work took."},
)

OPERATIONS = (
    Operation(
        "GET",
        "/lock",
        lock,
        "Do the work on an id, or be refused at once",
        "locks",
        {200: _WORK},
        description="423 with `Retry-After` while somebody else holds the id. A GET that changes something: never cached.",
        access=Access.LOCKS,
        query=LockQuery,
        problems=(400, 401, 403, 409, 413, 423, 503, 504),
    ),
    *(
        Operation(
            method,
            "/request/{id:lockid}",
            through,
            "Wait for the id, then do the work on it",
            "locks",
            {200: _WORK},
            description="Requests for one id are served one at a time, in order of arrival. Method, query, headers and "
            "body go to the upstream. 504 when the wait runs out, 503 when the upstream is unavailable.",
            access=Access.LOCKS,
            problems=(400, 401, 403, 409, 413, 503, 504),
        )
        for method in FORWARDED_METHODS
    ),
    Operation(
        "POST",
        "/locks/{id:lockid}",
        take,
        "Take a lock",
        "locks",
        {201: Answer("The lock is yours until its lease ends.", LockGrant)},
        description="With `waitMs` it stands in line and is answered when its turn comes. Hanging up gives up the place.",
        access=Access.LOCKS,
        body=LockRequest,
        body_required=False,
        problems=(400, 401, 403, 409, 413, 423, 503, 504),
    ),
    Operation(
        "PUT",
        "/locks/{id:lockid}",
        renew,
        "Renew a lock's lease",
        "locks",
        {200: Answer("The lease runs from now.", LockGrant)},
        access=Access.LOCKS,
        body=LockRenewal,
        body_required=False,
        headers=_TOKEN_HEADERS,
        problems=(400, 401, 403, 409, 413, 503),
    ),
    Operation(
        "DELETE",
        "/locks/{id:lockid}",
        release,
        "Release a lock",
        "locks",
        {204: Answer("It is released. The same answer again for a minute.")},
        access=Access.LOCKS,
        headers=_TOKEN_HEADERS,
        problems=(400, 401, 403, 409, 413, 503),
    ),
    Operation(
        "GET",
        "/locks/{id:lockid}",
        look,
        "Look at a lock",
        "locks",
        {200: Answer("How it stands.", LockState)},
        access=Access.LOCKS,
        problems=(400, 401, 403, 413, 503),
    ),
    Operation(
        "GET",
        "/admin/api/locks",
        held,
        "List the locks that are held",
        "admin",
        {200: Answer("Those that were held a moment ago.", HeldLocks)},
        access=Access.ADMIN,
        query=HeldQuery,
        problems=(400, 401, 403, 503),
    ),
)
