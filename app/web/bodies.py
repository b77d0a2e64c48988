"""Reading JSON bodies, query strings and the like into models, and writing models out; camelCase on the wire."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import Response

from app.errors import InvalidInput

NO_STORE = {"cache-control": "no-store"}
MAX_IDEMPOTENCY_KEY = 200


class Wire(BaseModel):
    """Base of everything that travels: camelCase names, unknown members refused."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", serialize_by_alias=True, frozen=True
    )


M = TypeVar("M", bound=BaseModel)


async def read_body(request: Request, model: type[M], *, required: bool = True) -> M:
    """The request's JSON body, checked. Half characters, what is no number, and more than some 200 levels are no JSON here.

    Raises:
        InvalidInput: not JSON, or not what the model says; each problem is named in `errors`.
    """
    raw = await request.body()
    if not raw and not required:
        return validate(model, {})
    try:
        data = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidInput(f"The body is not valid JSON: {error}.") from None
    return validate(model, data)


def read_query(request: Request, model: type[M]) -> M:
    """The query string, checked; a name given twice is refused.

    Raises:
        InvalidInput: unknown, repeated or malformed parameters.
    """
    pairs = request.query_params.multi_items()
    values = dict(pairs)
    if len(values) != len(pairs):
        raise InvalidInput("A query parameter is given more than once.")
    return validate(model, values)


def validate(model: type[M], data: Any) -> M:
    """Check plain data against a model.

    Raises:
        InvalidInput: with a sentence and one entry in `errors` for each problem.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = [
            {"field": ".".join(str(part) for part in item["loc"]), "problem": item["msg"]}
            for item in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        first = problems[0]
        where = f"{first['field']}: " if first["field"] else ""
        raise InvalidInput(f"The request is not as it should be: {where}{first['problem']}.", errors=problems) from None


def idempotency_key(headers: Mapping[bytes, bytes]) -> str | None:
    """The caller's `Idempotency-Key`, if there is one.

    Raises:
        InvalidInput: it is empty or too long.
    """
    raw = headers.get(b"idempotency-key")
    if raw is None:
        return None
    if not 0 < len(raw) <= MAX_IDEMPOTENCY_KEY:
        raise InvalidInput(f"An Idempotency-Key has 1 to {MAX_IDEMPOTENCY_KEY} characters.")
    return raw.decode("latin-1")


def answer(content: BaseModel | Mapping[str, Any], status: int = 200, **headers: str) -> Response:
    """A JSON answer that no cache keeps; `retry_after="2"` becomes a header."""
    data = content.model_dump_json(exclude_none=True) if isinstance(content, BaseModel) else json.dumps(content)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(data, status, headers=NO_STORE | names, media_type="application/json")
