"""The OpenAPI document, as tests that are generated from it read it."""

from typing import Any

from tests.app.client import Client

METHODS = ("get", "post", "put", "patch", "delete")


def operations(client: Client) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of each call of the API."""
    document = client.get("/openapi.json").json
    return [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def scope_of(operation: dict[str, Any]) -> str | None:
    """The scope that an operation asks for; None where it asks for none."""
    security = operation.get("security") or [{}]
    scopes: list[str] = security[0].get("bearer", [])
    return scopes[0] if scopes else None
