"""Pages as they leave the house: templates in which everything is escaped, under a policy that allows no code but ours."""

import gzip
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import Response

from app.web.addresses import Addresses
from app.web.operations import services_of
from app.web.wishes import accepts_gzip

TEMPLATES = Path(__file__).parent / "templates"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'{leads_to}; base-uri 'none'; frame-ancestors '{framed_by}'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_PLAIN_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?")

HEADERS = {
    "cache-control": "no-store",
    "vary": "cookie, accept-language, accept-encoding",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cross-origin-opener-policy": "same-origin",
}


class Packed(NamedTuple):
    """A page as it goes over the wire."""

    body: bytes
    is_zipped: bool


def html(
    request: Request, names: Sequence[str], status: int, values: dict[str, Any], *, leads_to: str | None = None
) -> Response:
    """The first of the templates that there is, filled in; `leads_to` as in `page_headers`."""
    return sent(request, rendered(request, names, values), status, page_headers(leads_to))


def rendered(request: Request, names: Sequence[str], values: Mapping[str, Any]) -> str:
    """The first of the templates that there is, filled in."""
    template = templates(services_of(request).settings.template_dir).select_template(names)
    return template.render(at=Addresses.of(request), **values)


def page_headers(leads_to: str | None = None) -> dict[str, str]:
    """What a page is sent with.

    Args:
        leads_to: another site's origin that a form of the page may lead on to; browsers hold a form's redirects
            against the policy, too.
    """
    beyond = f" {leads_to}" if leads_to and _PLAIN_ORIGIN.fullmatch(leads_to) else ""
    return {**HEADERS, "content-security-policy": POLICY.format(leads_to=beyond, framed_by="self")}


def sent(request: Request, page: str, status: int, headers: Mapping[str, str]) -> Response:
    """A page as an answer, compressed for those who accept it."""
    return as_answer(packed(page, zipped=accepts_zipped(request)), status, headers)


def accepts_zipped(request: Request) -> bool:
    """Whether the browser takes a compressed page."""
    return accepts_gzip(request.headers.get("accept-encoding", ""))


def packed(page: str, *, zipped: bool) -> Packed:
    """A page as bytes, compressed where that is wanted."""
    body = page.encode()
    return Packed(gzip.compress(body, compresslevel=5, mtime=0) if zipped else body, zipped)


def as_answer(page: Packed, status: int, headers: Mapping[str, str]) -> Response:
    """The answer that brings a page."""
    encoding = {"content-encoding": "gzip"} if page.is_zipped else {}
    return Response(page.body, status, headers={**headers, **encoding}, media_type="text/html; charset=utf-8")


@cache
def templates(own: Path | None = None) -> Environment:
    """The pages' templates, those of the operator's `own` folder first; everything they are given is escaped."""
    folders = [folder for folder in (own, TEMPLATES) if folder is not None]
    environment = Environment(loader=FileSystemLoader(folders), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    environment.policies["json.dumps_function"] = json.dumps
    return environment
