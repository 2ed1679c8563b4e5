"""What receivers answered to the first message of an alert, by which a channel finds that message again.

It stands in the record of the attempt that was sent first, as long as that is kept.
"""

from collections.abc import Iterable, Mapping
from typing import Final
from uuid import UUID

from sqlalchemy import ARRAY, Text, Uuid, bindparam, text
from sqlalchemy.orm import Session

from app.channels import registry
from app.ids import uuid7_floor
from app.services.channels import Destination
from app.services.notices import AlertFacts, Subject, Version

# The first message is near the opening of its alert, among those of its rule; who does not find it there goes without.
NEAR: Final = 200
_FIRST: Final = text("""
    SELECT asked.id, sent.response
    FROM unnest(:ids, :rules, :alerts, :targets, :floors) AS asked (id, rule_id, alert_id, target, floor)
    CROSS JOIN LATERAL (
        SELECT a.response FROM (
            SELECT n.id, n.alert_id, n.target FROM notifications n
            WHERE n.rule_id = asked.rule_id AND n.id >= asked.floor ORDER BY n.id LIMIT :near
        ) n JOIN attempts a ON a.notification_id = n.id AND a.outcome = 'sent'
        WHERE n.alert_id = asked.alert_id AND n.target = asked.target
        ORDER BY a.id LIMIT 1
    ) sent
""").bindparams(
    *(bindparam(name, type_=ARRAY(Uuid())) for name in ("ids", "rules", "alerts", "floors")),
    bindparam("targets", type_=ARRAY(Text())),
)


def firsts(
    session: Session,
    sent: Iterable[tuple[Destination, Subject, AlertFacts | None]],
    versions: Mapping[UUID, Version],
) -> dict[UUID, str]:
    """The answers to first messages, by the messages whose channels keep threads; of those only that have one."""
    asked = [
        (subject.id, versions[version_id].rule_id, alert.id, subject.target, alert.opened_at)
        for to, subject, alert in sent
        if alert is not None and (version_id := subject.rule_version_id) and _keeps_threads(to)
    ]
    if not asked:
        return {}
    ids, rules, alerts, targets, opened = (list(column) for column in zip(*asked, strict=True))
    floors = [uuid7_floor(moment) for moment in opened]
    rows = session.execute(
        _FIRST,
        {"ids": ids, "rules": rules, "alerts": alerts, "targets": targets, "floors": floors}
        | {"near": NEAR},
    )
    return {key: response for key, response in rows if response}


def _keeps_threads(to: Destination) -> bool:
    return to.problem is None and registry.get(to.kind).threads(to.config)
