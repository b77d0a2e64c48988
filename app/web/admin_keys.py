"""The operator's way to the keys that sign tickets and passes."""

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from app.tickets.keyring import KeyRing
from app.web.access import Access
from app.web.bodies import Wire, answer
from app.web.operations import Answer, Operation, services_of


class Rotation(Wire):
    """The key that comes next."""

    kid: str = Field(description="Its id, as in the header of what it will sign.")
    signs_in_seconds: float = Field(description="When it begins to sign; every replica knows it by then.")


async def rotate(request: Request) -> Response:
    """Publish a new key for tickets; old tickets stay valid."""
    return await _rotate(services_of(request).ring)


async def rotate_passes(request: Request) -> Response:
    """Publish a new key for passes; old passes stay valid."""
    return await _rotate(services_of(request).pass_ring)


async def _rotate(ring: KeyRing) -> Response:
    kid, signs_in_ms = await ring.rotate()
    return answer(Rotation(kid=kid, signs_in_seconds=signs_in_ms / 1000))


OPERATIONS = (
    Operation(
        "POST",
        "/admin/api/keys/rotate",
        rotate,
        "Rotate the key that signs tickets",
        "operator",
        {200: Answer("A new key is on its way.", Rotation)},
        description="Asking again before the new key signs changes nothing. With keys from JWT_SECRET: 409, and how.",
        access=Access.ADMIN,
        problems=(401, 403, 409, 503),
    ),
    Operation(
        "POST",
        "/admin/api/pass-keys/rotate",
        rotate_passes,
        "Rotate the key that signs passes",
        "operator",
        {200: Answer("A new key stands in the JWKS, and signs after PASS_KEY_LEAD seconds.", Rotation)},
        description="Asking again before the new key signs changes nothing. With keys from PASS_KEY: 409, and how.",
        access=Access.ADMIN,
        problems=(401, 403, 409, 503),
    ),
)
