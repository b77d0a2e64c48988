"""Private keys as PEM text: one or several after another, as settings carry them."""

import re

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

PassPrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey

_BLOCK = re.compile(r"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----", re.DOTALL)


def private_keys(text: str) -> list[PassPrivateKey]:
    """The keys of the text, in its order; `\\n` written out counts as a line's end, as some platforms store it so.

    Raises:
        ValueError: there is none, or one is of another kind than Ed25519 or P-256, or locked with a password.
    """
    blocks = _BLOCK.findall(text.replace("\\n", "\n"))
    if not blocks:
        raise ValueError("must be a private key as PEM; `openssl genpkey -algorithm ed25519` makes one")
    return [_private_key(block) for block in blocks]


def _private_key(block: str) -> PassPrivateKey:
    try:
        key = load_pem_private_key(block.encode(), password=None)
    except (ValueError, TypeError) as error:  # TypeError: it is locked with a password
        raise ValueError(f"holds a block that cannot be read as a private key: {type(error).__name__}") from None
    if isinstance(key, Ed25519PrivateKey):
        return key
    if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
        return key
    raise ValueError("holds a key that is neither Ed25519 nor P-256 (ES256)")
