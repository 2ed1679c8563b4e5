"""What a verb refuses, in words for the caller; `app.api.problems` turns each into a problem document."""

from rules_dsl import RuleError


def escape_pointer(step: str) -> str:
    """One step of a JSON pointer (RFC 6901)."""
    return step.replace("~", "~0").replace("/", "~1")


class Refusal(Exception):
    """A request that cannot be carried out as asked."""

    status = 422
    code = "invalid"

    def __init__(
        self, detail: str, *, pointer: str = "", code: str | None = None, **extra: object
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer
        self.code = code or type(self).code
        self.extra = extra

    @property
    def entries(self) -> list[dict[str, object]]:
        """Each thing that is wrong, and where."""
        said = {"pointer": self.pointer, "detail": self.detail, "code": self.code} | self.extra
        return [{name: value for name, value in said.items() if value is not None}]


def refusal_of(error: RuleError, pointer: str) -> Refusal:
    """What is wrong with a text in the rule language, with its place."""
    return Refusal(
        str(error),
        pointer=pointer,
        code=error.code,
        line=error.line,
        column=error.column,
        end_column=error.end_column,
        hint=error.hint,
    )


class NotFound(Refusal):
    """No such thing."""

    status = 404
    code = "not_found"


class Conflict(Refusal):
    """The thing's present state does not allow it."""

    status = 409
    code = "conflict"


class StaleVersion(Refusal):
    """`If-Match` names another version than the current one."""

    status = 412
    code = "stale_version"
