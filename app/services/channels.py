"""Named channels: kept with their secrets sealed, and found again when a notification needs one."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, literal, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.channels import registry
from app.channels.base import AddressError, Channel, ChannelDefaults
from app.channels.egress import Egress, NotPublic, UrlNotAllowed, origin
from app.config import Settings
from app.ids import uuid7
from app.models.channels import ChannelRow
from app.services import audit
from app.services.errors import Conflict, NotFound, Refusal, escape_pointer
from app.services.secretbox import SecretsUnreadable, seal, unseal
from rules_dsl import TargetError
from rules_dsl.errors import did_you_mean

ACTOR: Final = "sentinel: receiver gone"


@dataclass(frozen=True)
class Destination:
    """Where one notification goes, with the configuration to get there; or the problem that forbids it."""

    kind: str
    label: str
    config: dict[str, Any] = field(default_factory=dict, repr=False)
    channel_id: UUID | None = None
    # Of the channel as it was read: what comes of a send says nothing of a later one.
    version: int = 0
    problem: str | None = None


def create(
    session: Session,
    settings: Settings,
    egress: Egress,
    *,
    name: str,
    kind: str,
    config: Mapping[str, Any],
    enabled: bool,
    now: datetime,
) -> tuple[ChannelRow, dict[str, Any]]:
    """A new channel, and those of its secrets that were made here, shown this once; the caller commits."""
    channel = _kind(kind)
    if channel.receiver(name) != name:
        # It would share the pace and the pauses of all such addresses, and they its failures.
        raise Refusal(
            f"is an address, which {kind}:{name} reaches without a channel: call the channel by another name",
            pointer="/name",
            code="name_is_address",
        )
    complete = channel.with_defaults(_checked(channel, config, settings, egress))
    made = {
        key: value
        for key, value in complete.items()
        if key not in config and key in channel.secret_fields
    }
    public, secrets = _split(channel, complete)
    row = ChannelRow(
        id=uuid7(now),
        name=name,
        kind=kind,
        config=public,
        secrets=seal(settings.secret_keys, secrets),
        enabled=enabled,
        version=1,
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    _flush_name(session, kind, name)
    return row, made


def update(
    session: Session,
    settings: Settings,
    egress: Egress,
    row: ChannelRow,
    *,
    config: Mapping[str, Any] | None,
    enabled: bool | None,
    now: datetime,
) -> ChannelRow:
    """Change a channel: what is not sent of its config stays, what is sent as null goes. The caller commits.

    A secret that stays goes to nobody else: a change that would take it to another receiver is refused.
    Secrets are sealed anew, so that an empty `config` moves them to the newest key.
    """
    channel = _kind(row.kind)
    if config is not None:
        before = {**row.config, **_opened(settings, row)}
        whole = {**before, **config}
        merged = {key: value for key, value in whole.items() if value is not None}
        after = _checked(channel, merged, settings, egress)
        _keep_home(channel, before, after, config)
        row.config, secrets = _split(channel, after)
        row.secrets = seal(settings.secret_keys, secrets)
    if enabled is not None:
        row.enabled = enabled
        row.disabled_reason = None
    row.version += 1
    row.updated_at = now
    return row


def listing(session: Session) -> Sequence[ChannelRow]:
    """All channels, by kind and name."""
    return session.scalars(select(ChannelRow).order_by(ChannelRow.kind, ChannelRow.name)).all()


def page(session: Session, after: UUID | None, limit: int) -> Sequence[ChannelRow]:
    """Channels by kind and name, from past the one called `after`."""
    query = select(ChannelRow).order_by(ChannelRow.kind, ChannelRow.name).limit(limit)
    before = None if after is None else session.get(ChannelRow, after)
    if before is not None:
        place = tuple_(ChannelRow.kind, ChannelRow.name)
        query = query.where(place > tuple_(literal(before.kind), literal(before.name)))
    return session.scalars(query).all()


def find(session: Session, name: str, *, lock: bool = False) -> ChannelRow:
    """A channel by `kind:name`, or by its name where that is the only one of it."""
    kind, separator, rest = name.partition(":")
    query = select(ChannelRow)
    if separator:
        query = query.where(ChannelRow.kind == kind, ChannelRow.name == rest)
    else:
        query = query.where(ChannelRow.name == name)
    rows = session.scalars(query.with_for_update() if lock else query).all()
    if not rows:
        raise NotFound(f"there is no channel {name!r}")
    if len(rows) > 1:
        raise Conflict(
            f"several channels are called {name!r}: write `kind:{name}`", code="ambiguous_name"
        )
    return rows[0]


def disable(session: Session, channel_id: UUID, version: int, reason: str, now: datetime) -> bool:
    """Switch off a channel that is dead; whether it was on until now. The caller commits.

    One that was changed since that version is left on: it may have been repaired.
    """
    row = session.get(ChannelRow, channel_id, with_for_update=True, populate_existing=True)
    if row is None or not row.enabled or row.version != version:
        return False
    change = audit.Change(ACTOR, "channels", "disable", str(channel_id))
    # What else this session holds is not of this change.
    session.flush()
    with audit.following(session, change):
        row.enabled = False
        row.disabled_reason = reason
        row.version += 1
        row.updated_at = now
        audit.record(session, change, now)
    return True


def check_target(
    session: Session, settings: Settings, egress: Egress, kind: str, address: str
) -> None:
    """Refuse a target that nothing could be sent to; raises `TargetError` with a hint."""
    kinds = registry.kinds()
    if kind not in kinds:
        hint = did_you_mean(kind, kinds) or f"kinds are: {', '.join(sorted(kinds))}"
        raise TargetError(f"unknown kind of target `{kind}`", hint)
    if _named(session, kind, address) is not None:
        return
    try:
        channel = registry.get(kind)
        channel.check_config(channel.resolve(address, _defaults(settings)), egress)
    except AddressError as error:
        names = session.scalars(select(ChannelRow.name).where(ChannelRow.kind == kind)).all()
        raise TargetError(error.message, did_you_mean(address, names) or error.hint) from error
    except UrlNotAllowed as error:
        allowed = "SENTINEL_EGRESS_ALLOW lists what may be reached although private"
        raise TargetError(str(error), allowed if isinstance(error, NotPublic) else None) from error


# As `app.schemas.channels` has it.
_ADDRESS: Final = frozenset(":/?")
_NAMED: Final = select(ChannelRow).where(
    tuple_(ChannelRow.kind, ChannelRow.name).in_(bindparam("names", expanding=True))
)


def destinations(
    session: Session, settings: Settings, targets: Collection[str]
) -> dict[str, Destination]:
    """Where notifications go now: to a named channel first, then to what the target's address itself says."""
    each = (one.partition(":") for one in targets)
    # No name holds what an address has: for most targets nothing need be read.
    names = [(kind, name) for kind, _, name in each if not _ADDRESS.intersection(name)]
    rows = session.scalars(_NAMED, {"names": names}) if names else ()
    named = {f"{row.kind}:{row.name}": row for row in rows}
    return {target: _destination(settings, target, named.get(target)) for target in targets}


def _destination(settings: Settings, target: str, row: ChannelRow | None) -> Destination:
    kind, _, address = target.partition(":")
    if row is not None and not row.enabled:
        label = f"{row.kind}:{row.name}"
        return Destination(row.kind, label, channel_id=row.id, problem="channel_disabled")
    if row is not None:
        return open_row(settings, row)
    try:
        config = registry.get(kind).resolve(address, _defaults(settings))
    except (registry.UnknownKind, AddressError) as error:
        return Destination(kind, kind, problem=f"no_such_channel: {error}")
    return Destination(kind, kind, config)


def open_row(settings: Settings, row: ChannelRow) -> Destination:
    """A channel with its secrets, whether it is on or off."""
    label = f"{row.kind}:{row.name}"
    try:
        config = {**row.config, **unseal(settings.secret_keys, row.secrets)}
    except SecretsUnreadable:
        return Destination(row.kind, label, channel_id=row.id, problem="secrets_unreadable")
    try:
        whole = registry.get(row.kind).complete(config, _defaults(settings))
    except (registry.UnknownKind, AddressError) as error:
        return Destination(row.kind, label, channel_id=row.id, problem=str(error))
    return Destination(row.kind, label, whole, row.id, row.version)


def _defaults(settings: Settings) -> ChannelDefaults:
    """What the environment says about addresses, and to channels that leave it out."""
    return ChannelDefaults(settings.slack, settings.smtp, settings.apprise)


def secrets_set(settings: Settings, row: ChannelRow) -> frozenset[str]:
    """The names of the secrets that a channel has; raises `Conflict` where nobody can read them any more."""
    return frozenset(_opened(settings, row))


def _opened(settings: Settings, row: ChannelRow) -> dict[str, Any]:
    try:
        return unseal(settings.secret_keys, row.secrets)
    except SecretsUnreadable as error:
        raise Conflict(
            "the channel's secrets were sealed with a key that is gone; delete it and make it anew",
            code="secrets_unreadable",
        ) from error


def _named(session: Session, kind: str, address: str) -> ChannelRow | None:
    return session.scalars(
        select(ChannelRow).where(ChannelRow.kind == kind, ChannelRow.name == address)
    ).one_or_none()


def _kind(kind: str) -> Channel:
    if kind not in registry.kinds():
        hint = did_you_mean(kind, registry.kinds()) or ""
        raise Refusal(f"unknown kind {kind!r} {hint}".strip(), pointer="/kind", code="unknown_kind")
    return registry.get(kind)


def _checked(
    channel: Channel, config: Mapping[str, Any], settings: Settings, egress: Egress
) -> dict[str, Any]:
    """The configuration as the kind's schema loads it; raises `Refusal` with a pointer."""
    errors: dict[str, Any] = channel.config_schema.validate(config)
    if errors:
        fieldname, messages = next(iter(errors.items()))
        detail = messages[0] if isinstance(messages, list) else str(messages)
        pointer = "/config" if fieldname == "_schema" else "/config/" + escape_pointer(fieldname)
        raise Refusal(detail, pointer=pointer, code="invalid_config")
    loaded: dict[str, Any] = channel.config_schema.load(config)
    try:
        channel.check_config(channel.complete(loaded, _defaults(settings)), egress)
    except AddressError as error:
        raise Refusal(error.message, pointer="/config", code="invalid_config") from error
    except UrlNotAllowed as error:
        raise Refusal(str(error), pointer="/config/url", code="url_not_allowed") from error
    return loaded


def _keep_home(
    channel: Channel,
    before: dict[str, Any],
    after: dict[str, Any],
    sent: Mapping[str, Any],
) -> None:
    """Refuse to show another receiver what was kept for this one.

    Nobody is shown a secret again; whoever may change a channel could else learn its secrets by having them sent.
    """
    place, was = channel.place(after), channel.place(before)
    kept = sorted(name for name in channel.sent_secrets - sent.keys() if after.get(name))
    if place is None or not kept or (was is not None and _origin(was[1]) == _origin(place[1])):
        return
    again = " and ".join(kept)
    raise Refusal(
        f"leads to another scheme, host or port: send {again} again in the same request, or remove it; "
        "what is kept secret goes nowhere else",
        pointer=f"/config/{place[0]}",
        code="secrets_stay",
    )


def _origin(url: str) -> tuple[str, str, int] | None:
    """Whom a URL asks; None for one that was allowed by an older release and is no more."""
    try:
        return origin(url)
    except UrlNotAllowed:
        return None


def _split(channel: Channel, config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    secrets = {key: value for key, value in config.items() if key in channel.secret_fields}
    return {key: value for key, value in config.items() if key not in secrets}, secrets


def _flush_name(session: Session, kind: str, name: str) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(
            f"a {kind} channel {name!r} exists", pointer="/name", code="name_taken"
        ) from error
