"""The OpenAPI document, made from the operations and the models they name."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app import __version__
from app.web.access import Access
from app.web.operations import Answer, Operation, path_parameters, plain_path
from app.web.problems import PROBLEM_TYPE

_REF = "#/components/schemas/{model}"

_PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "A stable name of the kind of problem."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What happened and what to do, as a sentence."},
    },
}

_PROBLEM_MEANINGS = {
    400: "The request is malformed; `errors` names each field.",
    401: "A token is missing or not accepted.",
    403: "Not allowed, or not set up; `detail` says how.",
    404: "There is no such thing.",
    405: "The path does not take this method.",
    409: "The request does not fit the present state.",
    410: "It is over; `detail` and `visitStatus` say how.",
    413: "The body is too large.",
    423: "It is locked; `Retry-After` says when to try again.",
    429: "Too many requests; `Retry-After` says when to try again.",
    502: "The upstream's answer could not be used.",
    503: "The store is away or the service holds requests for a moment; `Retry-After` says when to try again.",
    504: "The wait ran out.",
}


def openapi_document(operations: Sequence[Operation]) -> dict[str, Any]:
    """The whole document as plain data."""
    shown = [operation for operation in operations if not operation.hidden]
    models = _models(shown)
    modes: list[tuple[type[BaseModel], Any]] = [(model, mode) for model, mode in models.items()]
    _, definitions = models_json_schema(modes, ref_template=_REF, by_alias=True)
    paths: dict[str, dict[str, Any]] = {}
    for operation in shown:
        paths.setdefault(plain_path(operation.path), {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Stanchion",
            "version": __version__,
            "description": "A virtual waiting room on Redis, with ID locks and a task queue behind it.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "./", "description": "Where this document was read."}],
        "paths": paths,
        "components": {
            "schemas": {**definitions.get("$defs", {}), "Problem": _PROBLEM_SCHEMA},
            "securitySchemes": {
                "ticket": {"type": "http", "scheme": "bearer", "description": "The token that /join gave."},
                **{
                    f"{access.value}Token": {"type": "http", "scheme": "bearer"}
                    for access in Access
                    if access is not Access.PUBLIC
                },
            },
        },
    }


def _models(operations: Sequence[Operation]) -> dict[type[BaseModel], str]:
    found: dict[type[BaseModel], str] = {}
    for operation in operations:
        if operation.body is not None:
            found[operation.body] = "validation"
        for reply in operation.answers.values():
            if isinstance(reply.body, type):
                found.setdefault(reply.body, "serialization")
    return found


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": _operation_id(operation),
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [*_path_parameters(operation), *_query_parameters(operation), *_header_parameters(operation)],
        "responses": {
            **{str(status): _response(reply) for status, reply in operation.answers.items()},
            **{str(status): _problem_response(status) for status in _problems(operation)},
        },
    }
    if operation.description:
        described["description"] = operation.description
    if operation.body is not None:
        described["requestBody"] = {
            "required": operation.body_required,
            "content": {"application/json": {"schema": {"$ref": _REF.format(model=operation.body.__name__)}}},
        }
    if operation.ticket:
        described["security"] = [{"ticket": []}]
    elif operation.access is not Access.PUBLIC:
        described["security"] = [{f"{operation.access.value}Token": []}]
    return described


def _problems(operation: Operation) -> list[int]:
    """The statuses that come as problem+json: wherever a token is asked for, too many wrong ones are one of them."""
    return sorted({*operation.problems, *([429] if operation.access is not Access.PUBLIC else [])})


def _operation_id(operation: Operation) -> str:
    words = [word for word in plain_path(operation.path).replace("{", "").replace("}", "").split("/") if word]
    return "-".join([operation.method.lower(), *(words or ["root"])]).replace(".", "-")


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1, "pattern": operation.path_patterns.get(name, r"^.+$")},
        }
        for name in path_parameters(operation.path)
    ]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    schema = operation.query.model_json_schema(by_alias=True)
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": details.get("description", ""),
            "schema": {key: value for key, value in details.items() if key not in ("title", "description")},
        }
        for name, details in schema.get("properties", {}).items()
    ]


def _header_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "required": False, "description": meaning, "schema": {"type": "string"}}
        for name, meaning in operation.headers.items()
    ]


def _response(reply: Answer) -> dict[str, Any]:
    response: dict[str, Any] = {"description": reply.meaning}
    if isinstance(reply.body, type):
        response["content"] = {"application/json": {"schema": {"$ref": _REF.format(model=reply.body.__name__)}}}
    elif reply.body is not None:
        response["content"] = {reply.body: {"schema": {}}}
    if reply.headers:
        response["headers"] = _headers(reply.headers)
    return response


def _headers(headers: Mapping[str, str]) -> dict[str, Any]:
    return {name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in headers.items()}


def _problem_response(status: int) -> dict[str, Any]:
    return {
        "description": _PROBLEM_MEANINGS.get(status, "The request failed."),
        "content": {PROBLEM_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}},
    }
