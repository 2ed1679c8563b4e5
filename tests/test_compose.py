"""The files of the containers keep what the design says of them; read, not run."""

import json
import re
import runpy
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import metrics
from app.channels.transport import SEND_SECONDS
from app.cli.local.errors import LocalError
from app.config import Settings
from tests.test_docs import documented_variables

ROOT = Path(__file__).parents[1]
COMPOSE = ROOT / "docker-compose.yml"
PROD = ROOT / "deploy" / "docker-compose.prod.yml"
CADDYFILE = ROOT / "deploy" / "Caddyfile"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "sentinel.json"

OURS = {"migrate", "api", "worker", "notifier", "backtester", "inbox", "flower"}
SERVICES = OURS | {"postgres", "redis", "celery-exporter"}
STREAMS = {"redis-stream", "kafka"}
OBSERVERS = {"prometheus", "grafana"}
# Stands in front of the API in production.
PROXY = "caddy"
# Those of the programs beside Sentinel; GF_… is Grafana's.
OTHERS = {
    "CADDY_GLOBAL_OPTIONS",
    "CE_BROKER_URL",
    "FLOWER_BASIC_AUTH_FILE",
    "LANG",
    "POSTGRES_DB",
    "POSTGRES_PASSWORD",
    "POSTGRES_PASSWORD_FILE",
    "POSTGRES_USER",
    "SENTINEL_DOMAIN",
    "SENTINEL_UPSTREAM",
}
ASKED = re.compile(r"\$\{(\w+)")
# What the files set themselves, what programs outside of the containers read, and what the image has no packages for.
OURS_TO_SET = {
    "DATABASE_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_SDK_DISABLED",
    "PROMETHEUS_MULTIPROC_DIR",
    "REDIS_URL",
    "SENTINEL_API_KEY",
    "SENTINEL_APPRISE",
    "SENTINEL_AUTH",
    "SENTINEL_EXPORTER_PORT",
    "SENTINEL_FLOWER_PORT",
    "SENTINEL_HOME",
    "SENTINEL_HOST",
    "SENTINEL_INBOX",
    "SENTINEL_PORT",
    "SENTINEL_PROXIES",
    "SENTINEL_SECRET_KEY",
    "SENTINEL_URL",
    "SLACK_API_URL",
}
LONG_LIVED = sorted((SERVICES | OBSERVERS) - {"migrate"})


def parsed(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def services(file: Path = COMPOSE) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = parsed(file)["services"]
    return found


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def test_the_services_are_those_of_the_design() -> None:
    assert set(services()) == SERVICES | STREAMS | OBSERVERS
    assert set(services(PROD)) == SERVICES | STREAMS | {PROXY}


def test_prometheus_grafana_and_streams_start_only_when_asked_for() -> None:
    profiles = {name: service.get("profiles") for name, service in services().items()}
    assert {name for name, value in profiles.items() if value == ["observability"]} == OBSERVERS
    assert {name for name, value in profiles.items() if value == [name]} == STREAMS
    assert {name for name, value in profiles.items() if value is None} == SERVICES


@pytest.mark.parametrize("file", [COMPOSE, PROD], ids=["trial", "production"])
def test_every_published_port_but_those_of_tls_is_on_loopback(file: Path) -> None:
    published = {name: service.get("ports", []) for name, service in services(file).items()}
    if file is PROD:
        assert published.pop(PROXY) == ["80:80", "443:443"]
    ports = [port for each in published.values() for port in each]
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
    assert [
        name
        for name, service in services(file).items()
        if "ports" in service and name in ("postgres", "redis", "inbox")
    ] == []
    assert [name for name, service in services(file).items() if "network_mode" in service] == []


def test_the_api_is_published_where_the_readme_looks_for_it() -> None:
    assert services()["api"]["ports"] == ["127.0.0.1:${SENTINEL_PORT:-8000}:8000"]


@pytest.mark.parametrize("file", [COMPOSE, PROD], ids=["trial", "production"])
def test_every_variable_that_a_service_gets_is_one_that_is_read(file: Path) -> None:
    given = {name for service in services(file).values() for name in service.get("environment", {})}
    rest = {name for name in given - OTHERS if not name.startswith("GF_")}
    known = documented_variables()
    assert {name.removesuffix("_FILE") for name in rest} <= known


def test_every_setting_of_dot_env_reaches_the_services() -> None:
    of_the_api = {"SENTINEL_API_WORKERS", "SENTINEL_API_THREADS"}
    of_streams = {"SENTINEL_STREAM_REDIS_URL", "SENTINEL_STREAM_BROKERS", "SENTINEL_STREAM_NAME"}
    everywhere = documented_variables() - OURS_TO_SET - of_the_api - of_streams
    for name in ("api", "worker", "notifier", "backtester", *STREAMS):
        environment = services()[name]["environment"]
        asked = {found[0] for found in map(ASKED.findall, environment.values()) if found}
        assert everywhere - asked == set(), name
    assert of_the_api <= set(services()["api"]["environment"])
    assert of_streams <= {key for one in STREAMS for key in services()[one]["environment"]}


def test_names_that_are_trusted_beside_the_domain_are_trusted_in_production_too() -> None:
    hosts = services(PROD)["api"]["environment"]["SENTINEL_TRUSTED_HOSTS"]
    assert ASKED.findall(hosts) == ["SENTINEL_DOMAIN", "SENTINEL_TRUSTED_HOSTS"]


def test_every_variable_that_the_compose_files_ask_for_is_documented() -> None:
    text = COMPOSE.read_text(encoding="utf-8") + PROD.read_text(encoding="utf-8")
    asked = set(ASKED.findall(text))
    page = (ROOT / "docs" / "docker.md").read_text(encoding="utf-8")
    documented = documented_variables() | set(re.findall(r"`([A-Z_]+)`", page))
    assert asked <= documented


def test_the_api_has_the_processes_and_threads_that_the_page_says() -> None:
    page = (ROOT / "docs" / "docker.md").read_text(encoding="utf-8")
    env = parsed(COMPOSE)["services"]["api"]["environment"]
    workers, threads = (
        env[f"SENTINEL_API_{name}"].rpartition("-")[2] for name in ("WORKERS", "THREADS")
    )
    assert f"gunicorn: {workers[:-1]} processes of {threads[:-1]} threads" in page


@pytest.mark.parametrize("name", ["worker", "notifier", "backtester"])
def test_a_worker_is_started_as_the_page_about_many_hosts_says(name: str) -> None:
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    command = " ".join(parsed(COMPOSE)["services"][name]["command"])
    told = command.removesuffix(" --loglevel INFO").replace("prefork -c 2", "prefork -c CORES")
    assert f"| `{told}` |" in page


@pytest.mark.parametrize("name", LONG_LIVED)
def test_a_service_is_restarted_checked_and_given_time_to_stop(name: str) -> None:
    service = services()[name]
    assert service["restart"] == "unless-stopped"
    assert {"test", "interval", "timeout", "retries"} <= set(service["healthcheck"])
    if name not in ("postgres", "redis", *OBSERVERS):
        assert seconds(service["stop_grace_period"]) >= 15


def test_the_migration_ends_and_is_repeated_only_when_it_failed() -> None:
    migrate = services()["migrate"]
    assert migrate["restart"] == "on-failure"
    assert migrate["healthcheck"] == {"disable": True}


def test_nobody_depends_on_what_ends_or_on_a_condition() -> None:
    for service in services().values():
        depends = service.get("depends_on", [])
        assert isinstance(depends, list)
        assert "migrate" not in depends


def test_workers_have_longer_to_stop_than_a_send_may_take() -> None:
    for name in ("worker", "notifier"):
        service = services()[name]
        assert seconds(service["stop_grace_period"]) >= 2 * SEND_SECONDS


def test_the_workers_serve_every_queue() -> None:
    import celeryconfig

    commands = [services()[name]["command"] for name in ("worker", "notifier", "backtester")]
    served = {command[command.index("-Q") + 1] for command in commands}
    assert served == {route["queue"] for route in celeryconfig.task_routes.values()}


@pytest.mark.parametrize("name", sorted(OURS | STREAMS | {"celery-exporter"}))
def test_our_own_containers_can_do_no_more_than_they_must(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "user"} & set(service)


def test_redis_keeps_its_messages_and_drops_none_in_silence() -> None:
    words = services()["redis"]["command"]
    settings = dict(zip(words[1::2], words[2::2], strict=True))
    assert settings["--appendonly"] == "yes"
    assert settings["--maxmemory-policy"] == "noeviction"


def test_what_must_survive_is_in_named_volumes() -> None:
    volumes = set(parsed(COMPOSE)["volumes"])
    mounted = {
        mount.split(":")[0]
        for service in services().values()
        for mount in service.get("volumes", [])
    }
    assert {name for name in mounted if not name.startswith("./")} == volumes
    assert [m for m in mounted if m.startswith("./") and not (ROOT / m).exists()] == []


def test_no_secret_key_is_written_in_a_file() -> None:
    for file in (COMPOSE, PROD):
        for service in services(file).values():
            environment = service.get("environment", {})
            assert "SENTINEL_SECRET_KEY" not in environment
            assert "FLOWER_BASIC_AUTH" not in environment


def test_the_trial_is_open_and_shows_its_messages() -> None:
    environment = services()["api"]["environment"]
    assert environment["SENTINEL_AUTH"] == "off"
    assert environment["SENTINEL_INBOX"] == "on"
    assert environment["SENTINEL_EGRESS_ALLOW"].split(",")[0] == "inbox:8001"


def test_production_asks_for_keys_has_no_inbox_and_reads_secrets_from_files() -> None:
    production = services(PROD)
    assert production["inbox"] == {"profiles": ["trial"]}
    for name in (OURS | STREAMS) - {"inbox"}:
        environment = production[name]["environment"]
        assert environment["SENTINEL_AUTH"] == "keys"
        assert environment["SENTINEL_INBOX"] == "off"
        assert "inbox" not in environment["SENTINEL_EGRESS_ALLOW"]
        assert environment["DATABASE_URL"] == ""
        paths = {value for key, value in environment.items() if key.endswith("_FILE")}
        assert paths == {f"/run/secrets/{secret}" for secret in production[name]["secrets"]}


def test_a_command_on_a_server_means_both_files_however_short_it_is() -> None:
    page = (ROOT / "docs" / "docker.md").read_text(encoding="utf-8")
    before, _, after = page.partition("## On a server")[2].partition("docker compose")
    both = f"{COMPOSE.name}:{PROD.relative_to(ROOT)}"
    assert f"echo COMPOSE_FILE={both} >> .env\n" in before
    assert "-f docker-compose.yml" not in after
    assert f"COMPOSE_FILE={both}" in PROD.read_text(encoding="utf-8").partition("x-environment")[0]


def test_production_limits_every_service_and_hides_the_data() -> None:
    production = services(PROD)
    for name in (SERVICES | STREAMS | {PROXY}) - {"inbox", "migrate"}:
        assert {"cpus", "memory"} <= set(production[name]["deploy"]["resources"]["limits"])
    assert production["postgres"]["networks"] == production["redis"]["networks"] == ["data"]
    assert parsed(PROD)["networks"]["data"] == {"internal": True}


def test_the_proxy_of_production_may_do_no_more_than_open_its_ports_and_keep_certificates() -> None:
    proxy = services(PROD)[PROXY]
    assert (proxy["read_only"], proxy["cap_drop"]) == (True, ["ALL"])
    assert proxy["cap_add"] == ["NET_BIND_SERVICE"]
    assert proxy["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "user", "secrets", "networks"} & set(proxy)
    [config, data] = [mount.split(":") for mount in proxy["volumes"]]
    assert (ROOT / config[0]) == CADDYFILE
    assert (config[2:], data[0]) == (["ro"], *parsed(PROD)["volumes"])
    assert proxy["restart"] == "unless-stopped"
    assert {"test", "interval", "timeout", "retries"} <= set(proxy["healthcheck"])
    grace = re.search(
        r"^\tgrace_period (\w+)$", CADDYFILE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert grace is not None
    assert seconds(proxy["stop_grace_period"]) > seconds(grace[1])


def test_the_proxy_of_production_is_told_all_that_its_file_asks_for() -> None:
    asked = set(re.findall(r"\{\$(\w+)", CADDYFILE.read_text(encoding="utf-8")))
    told = services(PROD)[PROXY]["environment"]
    assert set(told) == asked
    assert told["SENTINEL_UPSTREAM"] == "api:8000"
    assert services(PROD)["api"]["environment"]["SENTINEL_PROXIES"] == "1"
    # What is larger than a batch may be it refuses, by the API's own limit where none is set.
    limit = Settings.max_batch
    assert told["SENTINEL_MAX_BATCH"] == f"${{SENTINEL_MAX_BATCH:-{limit}}}"
    assert f"{{$SENTINEL_MAX_BATCH:{limit}}}" in CADDYFILE.read_text(encoding="utf-8")


def test_the_image_runs_hashed_packages_as_nobody_special() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    installs = re.findall(r"pip (?:--python \S+ )?install (.*)", text)
    assert len(installs) == 2
    assert [line for line in installs if "--require-hashes" not in line] == []
    *_, last = text.split("\nFROM ")
    assert "\nUSER sentinel\n" in last
    assert "\nHEALTHCHECK " in last
    assert not re.search(r"https?://(?!127\.0\.0\.1)|index-url|PIP_INDEX", text)


def test_all_that_the_image_is_made_of_goes_to_its_builder() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = {
        file
        for line in re.findall(r"^COPY (?!--from)(.*)", text, re.MULTILINE)
        for file in line.split()[:-1]
    } - {"."}
    sent = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert copied
    assert {f"!{file}" for file in copied} <= set(sent)


def test_only_the_consumer_of_kafka_has_a_client_of_it() -> None:
    given = {name: service.get("build", {}).get("args") for name, service in services().items()}
    assert {name: args for name, args in given.items() if args} == {"kafka": {"KAFKA": "1"}}
    images = [service["image"] for service in services().values()]
    assert images.count(services()["kafka"]["image"]) == 1
    install = "-r requirements.txt ${KAFKA:+-r requirements-kafka.txt} "
    assert install in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_every_metric_that_is_watched_is_one_that_is_told() -> None:
    kinds = {
        m.name: ("_bucket", "_count", "_sum") if m.buckets else ("_total",)
        for m in metrics.DEFINITIONS
    }
    told = {name + suffix for name, suffixes in kinds.items() for suffix in suffixes}
    told |= {name for name, *_ in (*metrics._GAUGES, *metrics._LABELLED)} | {"sentinel_build_info"}
    watched = ALERTS.read_text(encoding="utf-8") + DASHBOARD.read_text(encoding="utf-8")
    named = r"\b(?:sentinel|events|rules|notifications)_[a-z_]+"
    # No metric, but the label that leads to the runbooks.
    found = set(re.findall(named, watched)) - {"sentinel_runbooks"}
    assert len(found) >= 10
    assert found <= told


def test_the_dashboard_shows_the_three_counters_the_latencies_and_what_waits() -> None:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    shown = " ".join(target["expr"] for panel in panels for target in panel["targets"])
    for name in (
        "events_ingested_total",
        "rules_triggered_total",
        "notifications_sent_total",
        "sentinel_event_queue_seconds_bucket",
        "sentinel_event_to_delivery_seconds_bucket",
        "sentinel_events_pending",
    ):
        assert name in shown


def test_what_prometheus_and_grafana_are_pointed_at_exists() -> None:
    scraped = parsed(ROOT / "deploy" / "prometheus" / "prometheus.yml")["scrape_configs"]
    targets = [t for job in scraped for config in job["static_configs"] for t in config["targets"]]
    assert {target.partition(":")[0] for target in targets} <= set(services())
    (source,) = parsed(ROOT / "deploy" / "grafana" / "datasources" / "prometheus.yml")[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    used = set(re.findall(r'"uid": "(\w+)"', DASHBOARD.read_text(encoding="utf-8")))
    assert used == {source["uid"], "sentinel"}


@pytest.fixture(scope="module")
def entry() -> dict[str, Any]:
    """The names of `deploy/entrypoint.py`, which is a program and in no package."""
    return runpy.run_path(str(ROOT / "deploy" / "entrypoint.py"), run_name="entrypoint")


def test_the_secrets_are_made_once_and_for_the_owner_alone(
    entry: dict[str, Any], tmp_path: Path
) -> None:
    secret, flower = tmp_path / "secret_key", tmp_path / "flower"
    env = {"SENTINEL_SECRET_KEY_FILE": str(secret), "FLOWER_BASIC_AUTH_FILE": str(flower)}
    for file, make in entry["generated"](env).items():
        entry["write_once"](file, make())
    first = secret.read_text()
    entry["write_once"](secret, "another")
    assert secret.read_text() == first
    assert len(urlsafe_b64decode(first)) == 32
    assert flower.read_text().startswith("sentinel:")
    assert [file.stat().st_mode & 0o777 for file in (secret, flower)] == [0o400, 0o400]
    assert {file.name for file in tmp_path.iterdir()} == {"secret_key", "flower"}


@pytest.mark.parametrize("real", ["SLACK_BOT_TOKEN", "SLACK_WEBHOOK_URL"])
def test_the_inbox_stands_in_for_slack_unless_the_real_one_is_given(
    entry: dict[str, Any], real: str
) -> None:
    env = {"SENTINEL_INBOX": "on", "SLACK_BOT_TOKEN": "", "SLACK_WEBHOOK_URL": ""}
    entry["complete"](env)
    assert env["SLACK_API_URL"] == "http://inbox:8001/api/"
    env = {"SENTINEL_INBOX": "on", real: "given"}
    entry["complete"](env)
    assert "SLACK_API_URL" not in env
    env = {"SENTINEL_INBOX": "off"}
    entry["complete"](env)
    assert env == {"SENTINEL_INBOX": "off"}


def test_flower_gets_its_password_from_the_file(entry: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "auth").write_text("sentinel:word\n")
    env = {"FLOWER_BASIC_AUTH_FILE": str(tmp_path / "auth")}
    entry["complete"](env)
    assert env["FLOWER_BASIC_AUTH"] == "sentinel:word"


def test_waiting_goes_on_while_the_database_does_not_answer(
    entry: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    answers: list[LocalError | bool] = [LocalError("cannot connect"), False, True]

    def done() -> bool:
        answer = answers.pop(0)
        if isinstance(answer, LocalError):
            raise answer
        return answer

    entry["until"]("the schema", done)
    assert capsys.readouterr().err == "sentinel: waiting for the schema: cannot connect\n"
    assert answers == []
