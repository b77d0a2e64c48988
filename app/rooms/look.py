"""A room's look on its waiting page: plain text and checked values, never markup.

Colours must be readable on the page's own backgrounds, light and dark; a logo is a small picture, checked by its
first bytes, and never SVG, which could carry scripts.
"""

import binascii
from base64 import b64decode
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel

LIGHT_CARD = "#ffffff"
DARK_CARD = "#1a1d23"
READABLE = 4.5
"""The least contrast of text by WCAG 2.2 AA."""
MAX_LOGO_BYTES = 12_000
MAX_LINKS = 5
PICTURES = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/gif": b"GIF8",
    "image/webp": b"RIFF",
}

Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


class _Text(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


Address = Annotated[str, Field(max_length=500, pattern=r"^https?://[^\s\"'<>\\]+$")]


class LookLink(_Text):
    """A link below the place."""

    text: str = Field(min_length=1, max_length=80)
    url: Address


class RoomLook(_Text):
    """What an operator may say about how a room's page looks."""

    title: str | None = Field(default=None, min_length=1, max_length=80, description="The name above the page.")
    message: str | None = Field(
        default=None, min_length=1, max_length=500, description="A message to everybody on the page, shown at once."
    )
    accent: Colour | None = Field(default=None, description="Colour of buttons and bar on the light page, `#rrggbb`.")
    accent_dark: Colour | None = Field(default=None, description="The same on the dark page.")
    logo: str | None = Field(
        default=None,
        max_length=MAX_LOGO_BYTES * 4 // 3 + 50,
        description="A small picture as `data:image/png;base64,…` (PNG, JPEG, GIF or WebP, up to 12,000 bytes).",
    )
    enter_url: Address | None = Field(default=None, description="Where the page leads once it is the visitor's turn.")
    links: tuple[LookLink, ...] = Field(default=(), max_length=MAX_LINKS, description="Links below the place.")

    @field_validator("accent")
    @classmethod
    def _readable_on_light(cls, colour: str | None) -> str | None:
        return _readable(colour, LIGHT_CARD)

    @field_validator("accent_dark")
    @classmethod
    def _readable_on_dark(cls, colour: str | None) -> str | None:
        return _readable(colour, DARK_CARD)

    @field_validator("logo")
    @classmethod
    def _picture(cls, logo: str | None) -> str | None:
        if logo is not None:
            read_picture(logo)
        return logo

    @property
    def picture(self) -> tuple[str, bytes] | None:
        """The logo's media type and bytes."""
        return read_picture(self.logo) if self.logo is not None else None


def read_picture(data_url: str) -> tuple[str, bytes]:
    """The media type and the bytes of a picture in a data URL.

    Raises:
        ValueError: it is not one of the accepted pictures.
    """
    head, _, encoded = data_url.partition(",")
    media_type = head.removeprefix("data:").removesuffix(";base64")
    if head != f"data:{media_type};base64" or media_type not in PICTURES:
        raise ValueError("must be data:image/png;base64,… (or jpeg, gif, webp)")
    try:
        picture = b64decode(encoded, validate=True)
    except binascii.Error:
        raise ValueError("is not valid base64") from None
    if not picture.startswith(PICTURES[media_type]):
        raise ValueError(f"its content is not {media_type}")
    if len(picture) > MAX_LOGO_BYTES:
        raise ValueError(f"may have at most {MAX_LOGO_BYTES} bytes")
    return media_type, picture


def _readable(colour: str | None, card: str) -> str | None:
    if colour is not None and contrast(colour, card) < READABLE:
        raise ValueError(
            f"cannot be read on {card}: its contrast is {contrast(colour, card):.1f}, {READABLE} is needed"
        )
    return colour


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, from 1 to 21, as WCAG 2.2 defines it."""
    brighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
