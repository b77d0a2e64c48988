"""The operator's way to the signing keys."""

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from app.web.access import Access
from app.web.bodies import Wire, answer
from app.web.operations import Answer, Operation, services_of


class Rotation(Wire):
    """The key that comes next."""

    kid: str = Field(description="Its id, as in the header of the tickets it will sign.")
    signs_in_seconds: float = Field(description="When it begins to sign; every replica knows it by then.")


async def rotate(request: Request) -> Response:
    """Publish a new signing key; old tickets stay valid."""
    kid, signs_in_ms = await services_of(request).ring.rotate()
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
)
