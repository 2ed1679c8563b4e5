"""The test client as tests use it: an answer's JSON is whatever it is."""

from typing import Any, Protocol

from werkzeug.datastructures import Headers


class Answer(Protocol):
    """What a call gives back."""

    status_code: int
    headers: Headers

    @property
    def json(self) -> Any: ...
    @property
    def text(self) -> str: ...
    @property
    def content_type(self) -> str: ...


class Client(Protocol):
    """Calls the application as HTTP would."""

    def open(self, path: str, *, method: str, **options: Any) -> Answer: ...
    def get(self, path: str, **options: Any) -> Answer: ...
    def post(self, path: str, **options: Any) -> Answer: ...
    def put(self, path: str, **options: Any) -> Answer: ...
    def patch(self, path: str, **options: Any) -> Answer: ...
    def delete(self, path: str, **options: Any) -> Answer: ...
