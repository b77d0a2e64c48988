"""VIP codes: signed words that spare their holders the line, for one use or for many.

A code is a JWT, HS256 with the room's own key: `aud` the room, `jti`, `exp`, `use` = `vip`, and `single` when it counts
once. A site that knows the key may sign codes itself. What a browser keeps once its code was taken is the same with
`use` = `vip-held`: it is checked without asking anybody.
"""

from enum import StrEnum
from typing import Any, NamedTuple

import jwt

from app.errors import VipRefused
from app.tickets.compact import MAX_TOKEN_BYTES, are_numbers

ALGORITHM = "HS256"
MAX_ID = 100


class VipUse(StrEnum):
    """What a token of this kind is for."""

    CODE = "vip"
    HELD = "vip-held"


class Vip(NamedTuple):
    """What a code, or what was kept of it, says."""

    room: str
    code_id: str
    expires_s: int
    single: bool
    use: VipUse


def sign_vip(vip: Vip, secret: str) -> str:
    """The token of a code, or of what its holder keeps."""
    claims = {"aud": vip.room, "jti": vip.code_id, "exp": vip.expires_s, "use": vip.use.value}
    return jwt.encode(claims | ({"single": True} if vip.single else {}), secret, algorithm=ALGORITHM)


def read_vip(token: bytes | str, secret: str, room: str, use: VipUse, now_s: float) -> Vip:
    """What a token says that holds here and now, and is for this use.

    Raises:
        VipRefused: with a `reason`: too_long, malformed, signature, expired, claims.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise VipRefused("This is longer than any VIP code.", reason="too_long")
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            secret,
            algorithms=[ALGORITHM],
            audience=room,
            options={"require": ["aud", "jti", "exp", "use"], "verify_exp": False, "verify_iat": False},
        )
    except jwt.InvalidSignatureError:
        raise VipRefused("The VIP code's signature does not hold.", reason="signature") from None
    except jwt.DecodeError:
        raise VipRefused("This is not a VIP code: it cannot be read as a JWT.", reason="malformed") from None
    except (jwt.PyJWTError, ValueError):
        raise VipRefused("The VIP code lacks what it must say, or is another room's.", reason="claims") from None
    code_id, expires_s = claims["jti"], claims["exp"]
    if claims["use"] != use or not are_numbers([expires_s]) or not isinstance(code_id, str):
        raise VipRefused("The VIP code lacks what it must say.", reason="claims")
    if claims["aud"] != room or not 0 < len(code_id) <= MAX_ID:
        raise VipRefused("The VIP code lacks what it must say.", reason="claims")
    if expires_s <= now_s:
        raise VipRefused("The VIP code has expired.", reason="expired")
    return Vip(room, code_id, expires_s, bool(claims.get("single")), use)
