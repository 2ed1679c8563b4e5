"""Channels: who can hear, how their receivers are doing, and a test that shows the real answer."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from flask import Blueprint, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from marshmallow import ValidationError

from app.channels import registry
from app.channels.base import Channel, ChannelConfig
from app.channels.egress import NotPublic
from app.console import door, schema_form
from app.console.paging import page_of
from app.console.schema_form import Errors, Input
from app.extensions import session
from app.models.channels import ChannelRow, ChannelTest, Receiver
from app.runtime import now, runtime
from app.schemas.channels import ChannelIn
from app.services import channel_tests, channels, naming, receivers
from app.services.errors import NotFound, Refusal
from app.web.guards import egress
from tasks.publisher import wake_test
from tasks.wiring import publish

# What every kind has; it stands at the end of a form.
COMMON: Final = frozenset(ChannelConfig().fields)
# A send is over after 16 s; who waits longer than this waits for a worker.
PATIENCE: Final = timedelta(seconds=30)
WAITING_COUNTED: Final = 10_000
ALLOWED: Final = "SENTINEL_EGRESS_ALLOW names what may be reached although private"

bp = Blueprint("channels", __name__, url_prefix="/console/channels")


@bp.get("")
def listing() -> str:
    """All channels, with how their receivers are doing and their last tests."""
    page = page_of(lambda after, limit: channels.page(session(), after, limit), _id_of)
    known = receivers.known(session(), [_receiver(row) for row in page.items])
    return render_template(
        "console/channels.html",
        page=page,
        receivers={row.id: known.get(_receiver(row)) for row in page.items},
        tests=channel_tests.latest(session(), [row.id for row in page.items]),
        labels={kind: registry.get(kind).label for kind in registry.kinds()},
        state_of=_state_of,
    )


@bp.get("/new")
def new() -> str:
    """The kinds to choose from, or the form for a channel of one kind."""
    kind = request.args.get("kind", "")
    if kind not in registry.kinds():
        return render_template("console/channel_kinds.html", kinds=_kinds())
    return _new_form(kind)


@bp.post("")
def create() -> ResponseReturnValue:
    """Make a channel; secrets that were made for it are shown in the answer, and never again."""
    kind = request.form.get("kind", "")
    if kind not in registry.kinds():
        raise Refusal("choose a kind of channel")
    schema = registry.get(kind).config_schema
    config, errors = schema_form.read(schema, request.form)
    errors = {**schema_form.check(schema, config), **errors}
    body = {
        "name": request.form.get("name", "").strip(),
        "kind": kind,
        "config": config,
        "enabled": "enabled" in request.form,
    }
    try:
        fields = ChannelIn().load(body)
    except ValidationError as error:
        errors |= {"name": error.messages_dict.get("name", [])}
    if errors:
        return _new_form(kind, errors), 422
    try:
        row, made = channels.create(session(), runtime().settings, egress(), now=now(), **fields)
    except Refusal as error:
        session().rollback()
        return _new_form(kind, _errors_of(error)), error.status
    session().commit()
    if made:
        return render_template("console/channel_created.html", row=row, made=made), 201
    return door.see_other(_address(row), "The channel is made. Test it to see its answer.")


@bp.get("/<name>")
def get(name: str) -> str:
    """One channel: its receiver, its test and its settings."""
    return _page(channels.find(session(), name))


@bp.post("/<name>")
def patch(name: str) -> ResponseReturnValue:
    """Change its settings, or switch it on or off; a secret that is left empty stays."""
    row = channels.find(session(), name, lock=True)
    switch = request.form.get("switch")
    config: dict[str, Any] | None = None
    errors: Errors = {}
    if switch is None and _version(row) != row.version:
        session().rollback()
        return _page(channels.find(session(), name), overtaken=True), 412
    if switch is None:
        config, errors = schema_form.read(_kind(row).config_schema, request.form, changing=True)
    if errors:
        session().rollback()
        return _page(channels.find(session(), name), errors), 422
    enabled = None if switch is None else switch == "on"
    try:
        channels.update(
            session(), runtime().settings, egress(), row, config=config, enabled=enabled, now=now()
        )
    except Refusal as error:
        session().rollback()
        if switch is not None:
            raise
        return _page(channels.find(session(), name), _errors_of(error)), error.status
    session().commit()
    _begin_anew(row)
    said = "Saved." if enabled is None else f"Switched {'on' if enabled else 'off'}."
    return door.see_other(_address(row), said)


@bp.get("/<name>/delete")
def ask(name: str) -> str:
    """The question before a channel is deleted, and which live rules name it."""
    row = channels.find(session(), name)
    rules = naming.live_rules(session(), _target(row))
    return render_template("console/channel_delete.html", row=row, target=_target(row), rules=rules)


@bp.post("/<name>/delete")
def delete(name: str) -> Response:
    """Delete it; notifications that still name it become dead letters."""
    row = channels.find(session(), name, lock=True)
    session().delete(row)
    session().commit()
    _begin_anew(row)
    return door.see_other(url_for("console.channels.listing"), f"{_target(row)} is deleted.")


@bp.post("/<name>/test")
def test(name: str) -> Response:
    """Have a worker send a message; the page that follows shows the answer when there is one."""
    row = channels.find(session(), name, lock=True)
    made = channel_tests.create(session(), row, now())
    session().commit()
    publish([wake_test(made.id)])
    return door.see_other(_address(row, test=made.id))


@bp.get("/<name>/tests/<uuid:test_id>")
def answer(name: str, test_id: UUID) -> str:
    """One test as it stands, as a part of the channel's page."""
    row = channels.find(session(), name)
    found = _test(row, test_id)
    if found is None:
        raise NotFound("there is no such test of this channel; tests are kept for a day")
    return render_template("console/_channel_test.html", **_tested(row, found))


def _new_form(kind: str, errors: Mapping[str, list[str]] | None = None) -> str:
    channel, typed = registry.get(kind), request.form if errors else None
    fields = schema_form.inputs(channel.config_schema, {}, typed=typed, errors=errors, last=COMMON)
    return render_template(
        "console/channel_new.html",
        channel=channel,
        inputs=fields,
        common={schema_form.PREFIX + name for name in COMMON},
        errors=errors or {},
        typed=typed,
    )


def _page(row: ChannelRow, errors: Errors | None = None, *, overtaken: bool = False) -> str:
    channel = _kind(row)
    kept, problem = _secrets(row)
    saved = schema_form.inputs(channel.config_schema, row.config, kept=kept, last=COMMON)
    fields = schema_form.inputs(
        channel.config_schema,
        row.config,
        kept=kept,
        typed=request.form if errors or overtaken else None,
        errors=errors,
        last=COMMON,
    )
    return render_template(
        "console/channel.html",
        channel=channel,
        receiver=receivers.view(session(), _receiver(row), now(), WAITING_COUNTED),
        counted_to=WAITING_COUNTED,
        inputs=fields,
        common={schema_form.PREFIX + name for name in COMMON},
        errors=errors or {},
        problem=problem,
        version=_version(row) if errors else row.version,
        overtaken=overtaken,
        differing=_differing(saved, fields) if overtaken else [],
        **_tested(row, _test_to_show(row)),
    )


def _version(row: ChannelRow) -> int:
    """The version that the form was filled in for; where it does not say, any will do."""
    return request.form.get("version", row.version, type=int)


def _differing(saved: Sequence[Input], typed: Sequence[Input]) -> list[tuple[Input, Input]]:
    """What is saved and what is typed, where that is not the same; nothing is told of secrets."""
    both = zip(saved, typed, strict=True)
    return [(a, b) for a, b in both if a.value.splitlines() != b.value.splitlines()]


def _test(row: ChannelRow, test_id: UUID) -> ChannelTest | None:
    found: ChannelTest | None = channel_tests.find(session(), test_id)
    return found if found is not None and found.channel_id == row.id else None


def _test_to_show(row: ChannelRow) -> ChannelTest | None:
    """The one that the address asks for, while that is kept, or the latest."""
    wanted = request.args.get("test", type=UUID)
    asked = _test(row, wanted) if wanted else None
    return asked or channel_tests.latest(session(), [row.id]).get(row.id)


def _tested(row: ChannelRow, test: ChannelTest | None) -> dict[str, Any]:
    late = test is not None and test.finished_at is None and now() - test.created_at > PATIENCE
    return {"row": row, "target": _target(row), "test": test, "late": late}


def _secrets(row: ChannelRow) -> tuple[frozenset[str], str | None]:
    """The secrets that it has, or why nobody can tell."""
    try:
        return channels.secrets_set(runtime().settings, row), None
    except Refusal as error:
        return frozenset(), error.detail


def _errors_of(error: Refusal) -> Errors:
    """A refusal at its field; one that is about no field stands above the form."""
    *_, group, name = ["", "", *error.pointer.split("/")]
    is_private = isinstance(error.__cause__, NotPublic)
    said = f"{error.detail}; {ALLOWED}" if is_private else error.detail
    return {name if group == "config" or name == "name" else "": [said]}


def _kinds() -> list[tuple[Channel, str]]:
    """Each kind, and what it is in a sentence."""
    found = [registry.get(kind) for kind in registry.kinds()]
    return [(one, (type(one).__doc__ or "").strip().partition("\n")[0]) for one in found]


def _kind(row: ChannelRow) -> Channel:
    return registry.get(row.kind)


def _target(row: ChannelRow) -> str:
    return f"{row.kind}:{row.name}"


def _address(row: ChannelRow, **more: object) -> str:
    return url_for("console.channels.get", name=_target(row), **more)  # type: ignore[arg-type]


def _receiver(row: ChannelRow) -> str:
    return receivers.key_of(_target(row))


def _state_of(row: Receiver | None) -> str:
    return receivers.state_of(row) if row else "well"


def _id_of(row: ChannelRow) -> UUID:
    return row.id


def _begin_anew(row: ChannelRow) -> None:
    """End the pause of a receiver whose channel was changed, as the API does, in a transaction of its own."""
    receivers.forget(session(), _receiver(row), now())
    session().commit()
