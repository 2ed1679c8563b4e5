"""The environment becomes settings, or a message that names the variable."""

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from app.config import Settings
from app.environment import ConfigError

KEY = Fernet.generate_key().decode()
GOOD = {
    "DATABASE_URL": "postgres://u:p@db/sentinel",
    "REDIS_URL": "redis://redis:6379/0",
    "SENTINEL_SECRET_KEY": KEY,
}


def test_three_variables_are_enough_and_keys_are_on() -> None:
    settings = Settings.from_env(GOOD)
    assert settings.auth == "keys"
    assert settings.database_url == "postgresql+psycopg://u:p@db/sentinel"
    assert settings.broker.url == "redis://redis:6379/0"
    assert settings.retry.attempts == 10


def test_retention_is_thirty_and_ninety_days_where_nothing_else_is_said() -> None:
    kept = Settings.from_env(GOOD).retention
    assert (kept.events.days, kept.attempts.days) == (30, 90)
    env = GOOD | {"SENTINEL_RETENTION_EVENTS": "36h", "SENTINEL_RETENTION_ATTEMPTS": "12 w"}
    kept = Settings.from_env(env).retention
    assert (kept.events.total_seconds(), kept.attempts.days) == (36 * 3600, 84)


def test_traces_are_on_where_a_collector_is_named_and_not_switched_off() -> None:
    env = GOOD | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
    assert not Settings.from_env(GOOD).traces
    assert Settings.from_env(env).traces
    assert not Settings.from_env(env | {"OTEL_SDK_DISABLED": "true"}).traces


def test_rules_remember_a_minute_back_and_many_keys_where_nothing_else_is_said() -> None:
    memory = Settings.from_env(GOOD).memory
    assert (memory.lateness.total_seconds(), memory.keys) == (60, 100_000)
    env = GOOD | {"SENTINEL_LATENESS": "5m", "SENTINEL_MAX_KEYS": "10"}
    memory = Settings.from_env(env).memory
    assert (memory.lateness.total_seconds(), memory.keys) == (300, 10)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_missing_variable_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        Settings.from_env({key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://db"),
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "postgresql://host:port/db"),
        ("CELERY_BROKER_URL", "kafka://broker"),
        ("CELERY_BROKER_URL", "sentinel://broker:26379/0"),
        ("CELERY_BROKER_URL", "amqp:///vhost"),
        ("CELERY_BROKER_URL", "amqp://one:1;two:x/"),
        ("CELERY_BROKER_URL", "amqp://one/?heartbeat=1"),
        ("CELERY_BROKER_URL", "redis://[::1"),
        ("REDIS_URL", "redis://host:port"),
        ("SENTINEL_SECRET_KEY", ","),
        ("SENTINEL_SECRET_KEY", "short"),
        ("SENTINEL_AUTH", "maybe"),
        ("SENTINEL_PORT", "0"),
        ("SENTINEL_PORT", "http"),
        ("SENTINEL_RETRY_ATTEMPTS", "0"),
        ("SENTINEL_RETRY_BASE", "nan"),
        ("SENTINEL_MAX_BODY", "1"),
        ("SENTINEL_INBOX", "yes"),
        ("SENTINEL_RETENTION_EVENTS", "30"),
        ("SENTINEL_RETENTION_EVENTS", "23h"),
        ("SENTINEL_RETENTION_ATTEMPTS", "3651d"),
        ("SENTINEL_RETENTION_ATTEMPTS", "forever"),
        ("SENTINEL_LATENESS", "1m30s"),
        ("SENTINEL_LATENESS", "25h"),
        ("SENTINEL_MAX_KEYS", "0"),
        ("SENTINEL_PROXIES", "-1"),
        ("SENTINEL_PUBLIC_URL", "sentinel.example.com"),
        ("SENTINEL_PUBLIC_URL", "ftp://sentinel.example.com"),
        ("SENTINEL_PUBLIC_URL", "https://a:b@sentinel.example.com"),
        ("SENTINEL_PUBLIC_URL", "https://sentinel.example.com/?a=1"),
        ("SENTINEL_PUBLIC_URL", "https://sentinel.example.com/a|b"),
        ("SENTINEL_RATE_LIMIT", "many"),
        ("SENTINEL_RATE_LIMIT", "500"),
        ("SENTINEL_RATE_LIMIT", "0/second"),
        ("SENTINEL_RATE_LIMIT_INGEST", "10/fortnight"),
        ("SENTINEL_RATE_LIMIT_FAILURES", "-1/minute"),
        ("SENTINEL_RATE_LIMIT", "5/second;100/hour"),
        ("SENTINEL_RETRY_ATTEMPTS", "2.9"),
        ("SENTINEL_PROXIES", "1.5"),
        ("SENTINEL_TRUSTED_HOSTS", "sentinel.example.com,https://sentinel.example.com"),
        ("SENTINEL_TRUSTED_HOSTS", "sentinel.example.com:8443"),
        ("SENTINEL_TRUSTED_HOSTS", "*.example.com"),
        ("SLACK_WEBHOOK_URL", "hooks.slack.com/services/T/B/X"),
        ("SLACK_API_URL", "slack.com/api"),
        ("SENTINEL_HEARTBEAT_URL", "https://hc.example.com/a b"),
    ],
)
def test_a_wrong_value_stops_the_boot_and_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.from_env(GOOD | {name: value})
    assert caught.value.variable == name
    assert str(caught.value).startswith(name)


def test_what_is_told_of_a_number_that_is_too_large_is_the_largest_to_the_letter() -> None:
    with pytest.raises(ConfigError, match=r"it must be between 1024 and 67108864$") as caught:
        Settings.from_env(GOOD | {"SENTINEL_MAX_BODY": "67108865"})
    most = str(caught.value).rpartition(" ")[2]
    assert Settings.from_env(GOOD | {"SENTINEL_MAX_BODY": most}).max_body == 67_108_864
    with pytest.raises(ConfigError, match=r"between 0\.01 and 86400$"):
        Settings.from_env(GOOD | {"SENTINEL_RETRY_BASE": "0"})


def test_a_request_may_come_for_names_and_addresses_however_they_are_written() -> None:
    names = ("sentinel.example.com", "Sentinel_2", "10.0.0.7", "::1", "[2001:db8::7]")
    settings = Settings.from_env(GOOD | {"SENTINEL_TRUSTED_HOSTS": ", ".join(names)})
    assert settings.trusted_hosts[-5:] == names


def test_a_rate_is_a_number_in_a_time_or_off() -> None:
    told = {"SENTINEL_RATE_LIMIT": "7 per 2 minutes", "SENTINEL_RATE_LIMIT_INGEST": "off"}
    rates = Settings.from_env(GOOD | told).rates
    assert rates.calls is not None
    assert (rates.calls.amount, rates.calls.get_expiry()) == (7, 120)
    assert rates.ingest is None
    assert rates.failures is not None


@pytest.mark.parametrize("url", ["https://sentinel.example.com", "http://[::1]:8000/on"])
def test_where_people_find_the_console_ends_in_no_slash(url: str) -> None:
    assert Settings.from_env(GOOD).public_url is None
    for text in (url, f"{url}/"):
        assert Settings.from_env(GOOD | {"SENTINEL_PUBLIC_URL": text}).public_url == url


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    env = {name: value for name, value in GOOD.items() if name != "SENTINEL_SECRET_KEY"}
    assert Settings.from_env(env | {"SENTINEL_SECRET_KEY_FILE": str(file)}).secret_keys == (KEY,)
    with pytest.raises(ConfigError, match="SENTINEL_SECRET_KEY_FILE"):
        Settings.from_env(env | {"SENTINEL_SECRET_KEY_FILE": str(tmp_path / "none")})


def test_a_secrets_file_may_begin_with_the_mark_of_some_editors_and_is_utf_8(
    tmp_path: Path,
) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\r\n", encoding="utf-8-sig")
    env = {name: value for name, value in GOOD.items() if name != "SENTINEL_SECRET_KEY"}
    env["SENTINEL_SECRET_KEY_FILE"] = str(file)
    assert Settings.from_env(env).secret_keys == (KEY,)
    file.write_bytes(b"\xe4")
    with pytest.raises(ConfigError, match=r"SENTINEL_SECRET_KEY_FILE: .* is no UTF-8"):
        Settings.from_env(env)


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="set one of them"):
        Settings.from_env(GOOD | {"SENTINEL_SECRET_KEY_FILE": str(tmp_path)})


def test_a_redis_socket_is_spelt_as_kombu_wants_it() -> None:
    settings = Settings.from_env(GOOD | {"REDIS_URL": "unix://:pw@/run/redis.sock?db=3"})
    assert settings.broker.url == "redis+socket://:pw@/run/redis.sock?virtual_host=3"


def test_no_secret_is_in_the_repr_of_the_settings() -> None:
    told = {"SLACK_BOT_TOKEN": "xoxb-secret", "SMTP_URL": "smtp://a:hidden@mail.example"}
    settings = Settings.from_env(GOOD | told)
    for secret in (KEY, "xoxb-secret", "u:p", "hidden"):
        assert secret not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [("SMTP_URL", "smtp://u:hidden@mail.example?starttls=off"), ("SMTP_FROM", "hidden")],
)
def test_a_mail_server_or_sender_that_is_none_stops_the_process(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name) as refusal:
        Settings.from_env(GOOD | {name: value})
    assert "hidden" not in str(refusal.value)


def test_apprise_is_off_unless_it_is_switched_on() -> None:
    assert not Settings.from_env(GOOD).apprise
    assert Settings.from_env(GOOD | {"SENTINEL_APPRISE": "on"}).apprise


def test_apprise_without_its_package_stops_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.config.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="requirements-apprise"):
        Settings.from_env(GOOD | {"SENTINEL_APPRISE": "on"})
