"""The compact form of signed tokens, as RFC 7515 lays it out, written directly: what is common to tickets and passes.

With the header prepared for each key it costs a fifth of a general encoder, on the path of every join. A test has PyJWT
read what is written here.
"""

from binascii import b2a_base64
from collections.abc import Callable
from json import dumps

MAX_TOKEN_BYTES = 2048
MAX_NUMBER = 2**53
"""Beyond this Lua would round: such a position was never given out."""

_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class Sealer:
    """Writes tokens; the header of the key that signs at present is kept ready."""

    def __init__(self) -> None:
        self._headers: dict[tuple[str, str], bytes] = {}

    def seal(self, algorithm: str, kid: str, claims: bytes, sign: Callable[[bytes], bytes]) -> bytes:
        """The token of `claims`, which are JSON, signed by `sign`."""
        header = self._headers.get((algorithm, kid))
        if header is None:
            prepared = {"alg": algorithm, "kid": kid, "typ": "JWT"}
            header = _b64(dumps(prepared, separators=(",", ":")).encode()) + b"."
            self._headers = {(algorithm, kid): header}
        message = header + _b64(claims)
        return message + b"." + _b64(sign(message))


def are_numbers(values: list[object]) -> bool:
    """Whether all are whole numbers such as this service writes into its tokens."""
    return all(type(value) is int and 0 <= value <= MAX_NUMBER for value in values)


def _b64(data: bytes) -> bytes:
    return b2a_base64(data, newline=False).rstrip(b"=").translate(_URL_SAFE)
