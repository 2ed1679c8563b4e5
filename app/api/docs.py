"""`/docs`: the OpenAPI document and the kinds of problems as pages to read; nothing comes from elsewhere."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, render_template
from flask_smorest import Api

from app.api.kinds import KINDS, PAGE

POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
METHODS: Final = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Operation:
    """One call of the API, as the page shows it."""

    method: str
    path: str
    summary: str
    description: str
    scope: str
    parameters: list[dict[str, Any]]
    fields: list[dict[str, Any]]
    answers: list[tuple[str, str]]

    @property
    def anchor(self) -> str:
        """Its place on the page."""
        return f"{self.method}-{self.path.strip('/').replace('/', '-').strip('{}')}"


def blueprint(api: Api) -> Blueprint:
    """The page for an API's document, and its stylesheet."""
    bp = Blueprint(
        "docs",
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/docs/static",
    )

    @bp.get("/docs")
    def page() -> tuple[str, int, dict[str, str]]:
        document = api.spec.to_dict()
        tags = {tag["name"]: tag.get("description", "") for tag in document.get("tags", [])}
        groups = operations_by_tag(document)
        html = render_template("docs.html", groups=groups, tags=tags, info=document["info"])
        return html, 200, {"Content-Security-Policy": POLICY}

    @bp.get(PAGE)
    def problems() -> tuple[str, int, dict[str, str]]:
        html = render_template("problems.html", kinds=KINDS, info=api.spec.to_dict()["info"])
        return html, 200, {"Content-Security-Policy": POLICY}

    return bp


def operations_by_tag(document: dict[str, Any]) -> dict[str, list[Operation]]:
    """All calls of an OpenAPI document, in the order of its tags."""
    groups: dict[str, list[Operation]] = {tag["name"]: [] for tag in document.get("tags", [])}
    for tag, operation in _operations(document):
        groups.setdefault(tag, []).append(operation)
    return groups


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, Operation]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                raw = item[method]
                yield raw.get("tags", ["other"])[0], _operation(document, path, method, item, raw)


def _operation(
    document: dict[str, Any], path: str, method: str, item: dict[str, Any], raw: dict[str, Any]
) -> Operation:
    security = raw.get("security") or [{}]
    parameters = [
        _resolve(document, p) for p in [*item.get("parameters", []), *raw.get("parameters", [])]
    ]
    body = raw.get("requestBody", {}).get("content", {}).get("application/json", {})
    answers = {
        str(status): _resolve(document, answer).get("description", "")
        for status, answer in raw.get("responses", {}).items()
    }
    return Operation(
        method=method,
        path=path,
        summary=raw.get("summary", ""),
        description=raw.get("description", ""),
        scope=next(iter(security[0].values()), ["none"])[0],
        parameters=parameters,
        fields=list(_fields(document, body.get("schema", {}))),
        answers=sorted(answers.items()),
    )


def _fields(document: dict[str, Any], schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    schema = _resolve(document, schema)
    required = schema.get("required", [])
    for name, about in schema.get("properties", {}).items():
        kind = about.get("type", "any")
        yield {
            "name": name,
            "type": " or ".join(kind) if isinstance(kind, list) else kind,
            "required": name in required,
            "example": json.dumps(about["example"]) if "example" in about else "",
        }


def _resolve(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """What a `$ref` within the document stands for."""
    reference = node.get("$ref")
    if reference is None:
        return node
    target: Any = document
    for step in reference.removeprefix("#/").split("/"):
        target = target[step]
    found: dict[str, Any] = target
    return found
