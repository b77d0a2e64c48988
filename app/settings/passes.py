"""The passes that entering gives."""

from typing import Literal

from pydantic import BaseModel, Field, SecretStr, field_validator


class PassSettings(BaseModel):
    """The passes that entering gives, and the keys that sign them."""

    pass_algorithm: Literal["EdDSA", "ES256"] = Field(
        "EdDSA", description="How passes are signed: `EdDSA` (Ed25519), or `ES256` for verifiers that lack it."
    )
    pass_key: SecretStr | None = Field(
        None,
        description="Private keys that sign passes, as PEM: the first signs, all are published in the JWKS. Without it "
        "the replicas share random keys through the store.",
    )
    pass_key_lead: float = Field(
        900.0,
        ge=4,
        le=86_400,
        description="Seconds that a new key stands in the JWKS before it signs: longer than any verifier keeps a copy "
        "of the JWKS.",
    )

    @field_validator("pass_key")
    @classmethod
    def _readable(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None:
            from app.pem import private_keys  # cryptography takes a while to load, and few commands need it

            private_keys(key.get_secret_value())
        return key
