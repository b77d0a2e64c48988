"""The keys that sign passes: Ed25519 or P-256, whose public halves anyone may have."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from jwt.algorithms import ECAlgorithm, OKPAlgorithm
from jwt.utils import der_to_raw_signature

from app.pem import PassPrivateKey, private_keys
from app.store import keys
from app.tickets.keyring import REFRESH_S, KeyKind

EDDSA = "EdDSA"
ES256 = "ES256"
SIGNATURE_BYTES = 64
"""Of either, in the form that a JWT has it."""
LONGEST_PASS_S = 604_800
"""The most that a session may last, as in `RoomSettings.max_session_seconds`; renewed ones start from now."""


@dataclass(frozen=True)
class PassKey:
    """One key, ready to sign and to verify."""

    private: PassPrivateKey

    @property
    def algorithm(self) -> str:
        """The only algorithm that this key is good for."""
        return EDDSA if isinstance(self.private, Ed25519PrivateKey) else ES256

    @cached_property
    def public(self) -> Any:
        """What verifies."""
        return self.private.public_key()

    def sign(self, message: bytes) -> bytes:
        """The signature, in the form that a JWT has it."""
        if isinstance(self.private, Ed25519PrivateKey):
            return self.private.sign(message)
        return der_to_raw_signature(self.private.sign(message, ECDSA(SHA256())), self.private.curve)

    def public_jwk(self, kid: str) -> dict[str, Any]:
        """The public half as RFC 7517 has it."""
        form: dict[str, Any]
        if self.algorithm == EDDSA:
            form = OKPAlgorithm.to_jwk(self.public, as_dict=True)
        else:
            form = ECAlgorithm.to_jwk(self.public, as_dict=True)
        return {**form, "kid": kid, "use": "sig", "alg": self.algorithm}


@lru_cache(maxsize=64)
def pass_key(secret: bytes) -> PassKey:
    """The key of what the ring stores (PKCS #8, DER)."""
    key = load_der_private_key(secret, password=None)
    assert isinstance(key, Ed25519PrivateKey | EllipticCurvePrivateKey)  # noqa: S101  # only such are ever put there
    return PassKey(key)


def pass_key_secrets(pem: str) -> list[bytes]:
    """What the ring takes of keys given as PEM; see `private_keys`."""
    return [_stored(key) for key in private_keys(pem)]


def pass_keys(algorithm: str, lead_s: float) -> KeyKind:
    """The kind of ring that passes are signed with.

    Args:
        lead_s: how long verifiers may keep a copy of the JWKS.
    """

    def make() -> bytes:
        return _stored(Ed25519PrivateKey.generate() if algorithm == EDDSA else generate_private_key(SECP256R1()))

    return KeyKind(
        name="passes",
        store_key=keys.PASS_KEYRING,
        make=make,
        lead_s=max(lead_s, 2 * REFRESH_S),
        keep_s=LONGEST_PASS_S,
        fixed_advice="The keys come from PASS_KEY. To rotate: add the new key after the old one and restart the "
        "replicas; after PASS_KEY_LEAD seconds put it in front and restart them again; take the old one out when the "
        "last pass that it signed has ended.",
        is_wanted=lambda secret: pass_key(secret).algorithm == algorithm,
    )


def _stored(key: PassPrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
