"""What commands write of alerts and silences stands within 80 columns."""

from typing import Any

import pytest

from app.cli import alert, silence

NIGHT = "2026-03-01T12:00:00.482242+00:00"
LONG = "the disk was swapped by night, and nobody had told the rule that it would be"
ALERT: dict[str, Any] = {
    "id": "01a21f2e-95bd-7181-bf8a-a59cd5de99df", "state": "acknowledged", "severity": "critical",
    "count": 123_456, "rule": "Failed logins of one user", "key": '["\\u00fc' + "x" * 500 + '"]',
    "snoozed_until": None, "flapping": {"changes": 7, "flapping": True},
    "history": [{"at": NIGHT, "change": "acknowledged", "actor": "ada", "until": NIGHT, "comment": LONG}],
    "suppressions": [{"at": NIGHT, "kind": "silenced", "reason": f"silenced by ada: {LONG}"}],
}  # fmt: skip
SILENCE: dict[str, Any] = {
    "id": "01a21f2e-95bd-7181-bf8a-a59cd5de99df", "state": "pending", "begins_at": NIGHT, "ends_at": NIGHT,
    "condition": 'type == "disk" and host startswith "db-"', "rule_id": None, "severity": "critical",
    "comment": LONG,
}  # fmt: skip


def test_a_screen_of_80_columns_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    alert.write_line(ALERT)
    alert.tell(ALERT, as_json=False)
    silence.write_line(SILENCE)
    written = capsys.readouterr().out.splitlines()
    assert max(map(len, written)) <= 80
    assert sum(line.startswith(ALERT["id"]) for line in written) == 3
    text = " ".join(line.strip() for line in written)
    for part in (
        "Failed logins of one user",
        '["üxxx',
        LONG,
        "2026-03-01 12:00:00",
        "db-",
        "flapping",
    ):
        assert part in text
