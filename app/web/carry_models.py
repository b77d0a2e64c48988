"""What travels when a place is taken to another device."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from app.web.bodies import Wire
from app.web.rooms import Place

MAX_CODE = 40


class QrPicture(Wire):
    """The link as a QR code: one SVG path, in modules."""

    size: int = Field(description="Width and height, with the white around it.")
    path: str = Field(description="The dark modules, as the `d` of a path.")


class CarryOffer(Wire):
    """A place, offered to another device."""

    offer_id: str = Field(description="Its name; it does not tell the code.")
    code: str = Field(description="The one-time code, to be typed.")
    link: str = Field(description="The room's page, with the code in its fragment.")
    qr: QrPicture
    expires_at: datetime
    expires_in_seconds: float


class OfferLook(Wire):
    """What has become of an offer."""

    state: Literal["open", "taken", "over"]
    expires_in_seconds: float = Field(description="How long it is still known.")


class CarryQuery(Wire):
    """What goes along."""

    target: str = Field(default="", description="Where the visitor wants to go.")


class Takeover(Wire):
    """The code that another device shows."""

    code: str = Field(min_length=1, max_length=MAX_CODE, description="As it is shown; case and dashes do not matter.")


class TakenOver(Wire):
    """The place that was taken over."""

    place: Place
    target: str | None = Field(description="Where its visitor wanted to go.")
