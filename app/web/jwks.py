"""The public keys of passes, for whoever checks them offline."""

from starlette.requests import Request
from starlette.responses import Response

from app.web.operations import Answer, Operation, services_of

MAX_AGE_S = 60


async def jwks(request: Request) -> Response:
    """The keys that passes are signed with: at present, from soon on, and until lately."""
    services = services_of(request)
    # A new key must have reached everyone before it signs, whatever caches stand in between.
    max_age_s = min(MAX_AGE_S, int(services.settings.pass_key_lead / 2))
    headers = {"cache-control": f"public, max-age={max_age_s}", "access-control-allow-origin": "*"}
    return Response(services.passes.jwks_json(), headers=headers, media_type="application/json")


OPERATIONS = (
    Operation(
        "GET",
        "/.well-known/jwks.json",
        jwks,
        "The public keys of passes",
        "visitors",
        {200: Answer("A JWK set (RFC 7517); to be cached shortly.", "application/json")},
        description="A new key stands here for PASS_KEY_LEAD seconds before it signs, and stays while passes of it live.",
        problems=(503,),
    ),
)
