"""What a Sentinel would hold after a week of work: events, and what rules made of them, written as rows.

The time of day shows in it, as it does where people work; ids are UUIDv7 of the moments they stand for.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg

from app.metrics import EVENTS_INGESTED, NOTIFICATIONS_SENT, RULES_TRIGGERED
from app.services import upkeep
from bench.stateful.filling import opened
from tests.acceptance.stack import Stack

SPAN: Final = timedelta(days=7)
TARGET: Final = "slack:#alerts"
# By name; of which events each one is true, the columns of `past` say.
RULES: Final = {
    "High value orders": 'when type == "order" and amount > 900 then notify("slack:#big-orders")'
    " severity warning throttle 1 per 1h by country",
    "Payment declined": 'when type == "payment" and status == "declined" then notify("slack:#payments")'
    ' severity high message "{{ provider }} declined {{ amount }}" throttle 1 per 1h by provider',
    "Host is hot": 'when type == "heartbeat" and cpu > 0.97 then notify("slack:#ops")'
    " severity critical throttle 1 per 1h by host",
    "Login from a new country": 'when type == "login" and country not in ["DE", "AT", "CH", "FR"]'
    ' then notify("slack:#security") throttle 1 per 1h by country',
}
# The middle of the day has four times the events of the night, for their number is the inverse of the curve's slope;
# a shorter wave and some disorder lie over it.
SQL: Final = (
    "UPDATE rules SET created_at = %(first)s, live_since = %(first)s",
    "UPDATE rule_versions SET created_at = %(first)s",
    """CREATE TEMP TABLE past AS
    SELECT n, at, kind, amount, who, place, host, cpu, status,
        (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3)
         || 'a' || substr(md5(n::text), 4, 15))::uuid AS id
    FROM (SELECT n, %(first)s::timestamptz + %(span)s::interval
            * (share + 0.6 / (2 * pi() * %(days)s) * sin(2 * pi() * (%(days)s * share + %(phase)s))
               - 0.6 / (2 * pi() * %(days)s) * sin(2 * pi() * %(phase)s)
               + 0.3 / (74 * pi() * %(days)s) * sin(74 * pi() * %(days)s * share))
            - interval '3 minutes' * (n * 2654435761 %% 1000003) / 1000003.0 AS at,
            (ARRAY['order', 'login', 'heartbeat', 'order', 'payment', 'heartbeat', 'login', 'order'])
                [1 + n %% 8] AS kind,
            (n * 7919::bigint %% 100000) / 100.0 AS amount,
            (ARRAY['ada', 'grace', 'alan', 'edsger', 'barbara', 'donald', 'radia'])[1 + n %% 7] AS who,
            (ARRAY['DE', 'DE', 'AT', 'FR', 'CH', 'DE', 'FR', 'AT', 'DE', 'CH', 'DE', 'SE', 'FR'])[1 + n %% 13] AS place,
            (ARRAY['db-1', 'db-2', 'web-1', 'web-2', 'web-3'])[1 + n / 8 %% 5] AS host,
            (n * 104729::bigint %% 1000) / 1000.0 AS cpu,
            CASE WHEN n * 15485863::bigint %% 100 < 6 THEN 'declined' ELSE 'captured' END AS status
        FROM (SELECT n, n::float8 / %(count)s AS share FROM generate_series(1, %(count)s) n) numbers) made""",
    """INSERT INTO events (id, type, source, body, accepted_at, occurred_at, revision)
    SELECT id, kind, 'http', CASE kind
        WHEN 'order' THEN json_build_object('type', kind, 'id', 'o-' || n, 'amount', amount, 'country', place,
            'customer', json_build_object('name', who, 'plan', 'pro'), 'items', json_build_array(json_build_object(
            'sku', 'GPU-' || n %% 9, 'quantity', 1 + n %% 4)))
        WHEN 'login' THEN json_build_object('type', kind, 'user', who, 'country', place, 'ok', n %% 11 > 0,
            'ip', '192.0.2.' || n %% 250)
        WHEN 'payment' THEN json_build_object('type', kind, 'order', 'o-' || n - 1, 'amount', amount,
            'provider', (ARRAY['visa', 'sepa', 'paypal'])[1 + n %% 3], 'status', status)
        ELSE json_build_object('type', kind, 'host', host, 'cpu', cpu, 'load', round((cpu * 4)::numeric, 2)) END,
        at, at, (SELECT revision FROM ruleset) FROM past""",
    """CREATE TEMP TABLE fired AS
    SELECT p.*, v.id AS version, v.rule_id, floor(extract(epoch FROM at) / 14400) AS era,
        md5(p.id::text || 'a') AS salt FROM (SELECT *, CASE
            WHEN kind = 'order' AND amount > 900 THEN 'High value orders'
            WHEN kind = 'payment' AND status = 'declined' THEN 'Payment declined'
            WHEN kind = 'heartbeat' AND cpu > 0.97 THEN 'Host is hot'
            WHEN kind = 'login' AND place = 'SE' THEN 'Login from a new country' END AS rule,
        '["' || CASE kind WHEN 'heartbeat' THEN host WHEN 'payment'
            THEN (ARRAY['visa', 'sepa', 'paypal'])[1 + n %% 3] ELSE place END || '"]' AS key FROM past) p
    JOIN rule_versions v ON v.name = p.rule""",
    """CREATE TEMP TABLE told AS
    SELECT DISTINCT ON (rule_id, key, era) *, overlay(id::text placing substr(salt, 1, 12) from 25)::uuid AS alert
    FROM fired ORDER BY rule_id, key, era, at""",
    """INSERT INTO matches (event_id, rule_version_id, rule_id, alert_id, matched_at, event_type)
    SELECT f.id, f.version, f.rule_id, t.alert, f.at, f.kind FROM fired f JOIN told t USING (rule_id, key, era)""",
    """INSERT INTO alerts (id, rule_id, key, state, severity, count, opened_at, last_at, last_event_id, rule_version_id,
        notified_at, acknowledged_at, acknowledged_by, resolved_at, resolved_by)
    SELECT t.alert, t.rule_id, t.key, CASE WHEN ended THEN 'resolved' ELSE 'open' END, CASE t.rule
        WHEN 'Host is hot' THEN 'critical' WHEN 'Payment declined' THEN 'high' ELSE 'warning' END, s.count, t.at,
        s.last_at, s.last_id, t.version, t.at, CASE WHEN ended AND n %% 5 > 0 THEN t.at + interval '4 minutes' END,
        CASE WHEN ended AND n %% 5 > 0 THEN t.who END, CASE WHEN ended THEN s.last_at + interval '9 minutes' END,
        CASE WHEN ended THEN t.who END
    FROM told t JOIN (SELECT rule_id, key, era, count(*), max(at) AS last_at, max(id::text)::uuid AS last_id
        FROM fired GROUP BY 1, 2, 3) s USING (rule_id, key, era),
    LATERAL (SELECT t.era < max(u.era) OR t.rule = 'High value orders' AND t.key > '["D' AS ended FROM told u
        WHERE (u.rule_id, u.key) = (t.rule_id, t.key)) e""",
    """INSERT INTO alert_changes (id, alert_id, rule_id, key, at, change, actor)
    SELECT overlay(id::text placing substr(md5(id::text || 'c'), 1, 12) from 25)::uuid, id, rule_id, key, opened_at,
        'opened', NULL FROM alerts UNION ALL
    SELECT overlay(id::text placing substr(md5(id::text || 'd'), 1, 12) from 25)::uuid, id, rule_id, key, resolved_at,
        'resolved', resolved_by FROM alerts WHERE resolved_at IS NOT NULL UNION ALL
    SELECT overlay(id::text placing substr(md5(id::text || 'b'), 1, 12) from 25)::uuid, id, rule_id, key,
        acknowledged_at, 'acknowledged', acknowledged_by FROM alerts WHERE acknowledged_at IS NOT NULL""",
    """INSERT INTO notifications (id, cause, cause_id, rule_id, rule_version_id, alert_id, target, receiver, message,
        status, attempts, attempts_forgiven, created_at, next_attempt_at, finished_at, wake_at, epoch)
    SELECT overlay(f.id::text placing substr(f.salt, 13, 12) from 25)::uuid, 'event', f.id, f.rule_id, f.version,
        t.alert, %(target)s, '', f.rule || ': ' || f.key, 'sent', 1, 0, f.at, f.at, f.at + interval '80 ms', f.at, 0
    FROM fired f JOIN told t USING (rule_id, key, era)""",
    """INSERT INTO attempts (notification_id, number, epoch, started_at, finished_at, outcome, status_code, latency_ms,
        response)
    SELECT id, 1, 1, created_at, finished_at, 'sent', 200, 12 + attempts, 'ok' FROM notifications""",
)
# What a worker has written down meanwhile knows nothing of all this.
SAMPLES: Final = (
    "DELETE FROM samples",
    """INSERT INTO samples (minute, ingested, matches, sent, failed, dead, rule_errors, given_up, rejected, waiting,
        pending, alerts)
    SELECT minute, sum(coalesce(e.count, 0)) OVER upto, sum(coalesce(f.count, 0)) OVER upto,
        sum(coalesce(f.count, 0)) OVER upto, 0, 0, 0, 0, 0, 0, coalesce(f.count, 0) %% 4, 3 + coalesce(f.count, 0) %% 3
    FROM generate_series(date_trunc('minute', %(first)s::timestamptz), now(), '1 minute') minute
    LEFT JOIN (SELECT date_trunc('minute', at) AS minute, count(*) FROM past GROUP BY 1) e USING (minute)
    LEFT JOIN (SELECT date_trunc('minute', at) AS minute, count(*) FROM fired GROUP BY 1) f USING (minute)
    WINDOW upto AS (ORDER BY minute)""",
)
# Rates are differences of totals, so what the rows say was done has to be in them.
TOTALS: Final = """INSERT INTO metric_totals (name, labels, value) VALUES (%(name)s, %(labels)s, %(value)s)
    ON CONFLICT (name, labels) DO UPDATE SET value = metric_totals.value + excluded.value"""


def fill(stack: Stack, events: int, now: datetime) -> None:
    """A week of events up to now, evenly but for the time of day, and all that came of them."""
    for name, dsl in RULES.items():
        stack.post("/rules", {"name": name, "dsl": dsl, "tags": ["shop"]}).raise_for_status()
    with opened(stack) as session:
        for day in range(SPAN.days + 1):
            upkeep.ensure_partitions(session, now - timedelta(days=day))
        session.commit()
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        for statement in SQL:
            connection.execute(statement.encode(), _given(events, now))
        with connection.transaction():
            for row in _totals(connection):
                connection.execute(TOTALS.encode(), row)
            for statement in SAMPLES:
                connection.execute(statement.encode(), _given(events, now))
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def _given(events: int, now: datetime) -> dict[str, Any]:
    first = now - SPAN
    midday = (
        first.astimezone(UTC) - first.astimezone(UTC).replace(hour=1, minute=0)
    ).total_seconds()
    return {
        "count": events,
        "first": first,
        "span": SPAN,
        "days": SPAN.days,
        "phase": midday / 86_400,
        "target": TARGET,
    }


def _totals(connection: "psycopg.Connection[Any]") -> Iterator[dict[str, Any]]:
    counted = "SELECT (SELECT count(*) FROM past), (SELECT count(*) FROM fired)"
    [(events, fired)] = connection.execute(counted).fetchall()
    yield {"name": EVENTS_INGESTED.name, "labels": ["http", "accepted"], "value": events}
    yield {"name": RULES_TRIGGERED.name, "labels": ["past"], "value": fired}
    yield {"name": NOTIFICATIONS_SENT.name, "labels": ["slack", "sent"], "value": fired}
