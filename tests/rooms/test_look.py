"""A room's look is text and checked values."""

from base64 import b64encode

import pytest
from pydantic import ValidationError

from app.rooms.look import MAX_LOGO_BYTES, RoomLook, contrast

PNG = b"\x89PNG\r\n\x1a\n"


def as_data_url(picture: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{b64encode(picture).decode()}"


def test_a_look_is_taken_as_it_is_given() -> None:
    look = RoomLook.model_validate(
        {
            "title": "Box office",
            "message": "Doors at eight.",
            "accent": "#7a1fa2",
            "accentDark": "#e1a6ff",
            "logo": as_data_url(PNG + b"x"),
            "links": [{"text": "Help", "url": "https://shop.example/help?a=1&b=2"}],
        }
    )
    assert look.picture == ("image/png", PNG + b"x")
    assert RoomLook.model_validate_json(look.model_dump_json(by_alias=True)) == look


@pytest.mark.parametrize(
    "look",
    [
        {"accent": "red"},
        {"accent": "#fff}body{display:none"},
        {"accent": "#ffff00"},
        {"accentDark": "#222222"},
        {"logo": "https://evil.example/x.png"},
        {"logo": as_data_url(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml")},
        {"logo": as_data_url(b"<script>")},
        {"logo": "data:image/png;base64,!!!"},
        {"logo": as_data_url(PNG + bytes(MAX_LOGO_BYTES))},
        {"title": ""},
        {"title": "x" * 81},
        {"message": "x" * 501},
        {"links": [{"text": "x", "url": "javascript:alert(1)"}]},
        {"links": [{"text": "x", "url": 'https://a.example/" onclick="x'}]},
        {"links": [{"text": "x", "url": "https://a.example"}] * 6},
        {"css": "body{}"},
    ],
)
def test_what_is_no_plain_text_readable_colour_picture_or_link_is_refused(look: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RoomLook.model_validate(look)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
