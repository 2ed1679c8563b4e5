"""The systemd units and the Kubernetes manifests: checked by systemd's own tools, and held against the compose file."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import ValidationError, validate

from tests.pages import fences, page
from tests.test_compose import ROOT, services
from tests.test_docs import documented_variables

UNITS = ROOT / "deploy" / "systemd"
MANIFESTS = ROOT / "deploy" / "kubernetes"
ANALYZE = Path("/usr/bin/systemd-analyze")
KUBERNETES = "1.37"
API = ["gunicorn", "-c", "deploy/gunicorn.conf.py", "wsgi:app"]
WORKERS = ("worker", "notifier", "backtester")
COMMANDS = {
    "api": API,
    "migrate": ["migrate"],
    **{name: services()[name]["command"] for name in WORKERS},
}
ENTRY = ["/opt/sentinel/.venv/bin/python", "deploy/entrypoint.py"]
# By systemd's count from 0 to 100; a service that has all rights has 96.
MOST_EXPOSED = 15


def settings_of(unit: str) -> list[tuple[str, str]]:
    """The lines of a unit and of what all of them share."""
    text = (UNITS / unit).read_text(encoding="utf-8")
    text += (UNITS / "sentinel-.service.d" / "common.conf").read_text(encoding="utf-8")
    return re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units, of this checkout instead of the one in /opt."""
    if not ANALYZE.exists() and not os.environ.get("CI"):
        pytest.skip("needs systemd's tools: apt-get install systemd")
    folder = tmp_path_factory.mktemp("systemd") / "units"
    shutil.copytree(UNITS, folder)
    for file in (*folder.glob("*.service"), *folder.glob("*/*.conf")):
        file.write_text(file.read_text().replace("/opt/sentinel", str(ROOT)))
    return folder


def analyze(units: Path, *words: str) -> None:
    env = {**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"}
    done = subprocess.run([ANALYZE, *words], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_systemd_finds_no_fault_in_the_units(units: Path) -> None:
    files = [str(file) for file in units.glob("sentinel*.*") if file.is_file()]
    assert len(files) == len(COMMANDS) + 2
    analyze(units, "verify", "--man=no", *files)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_unit_may_do_little_by_the_count_of_systemd(units: Path, name: str) -> None:
    limit = f"--threshold={MOST_EXPOSED}"
    analyze(units, "security", "--offline=true", limit, str(units / f"sentinel-{name}.service"))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_unit_runs_what_the_container_runs(name: str) -> None:
    settings = settings_of(f"sentinel-{name}.service")
    [command] = [value for key, value in settings if key == "ExecStart"]
    assert shlex.split(command.replace("%%", "%")) == ENTRY + COMMANDS[name]


def test_a_unit_sets_only_variables_that_are_read() -> None:
    lines = [
        value
        for name in COMMANDS
        for key, value in settings_of(f"sentinel-{name}.service")
        if key == "Environment"
    ]
    given = {pair.partition("=")[0] for line in lines for pair in line.split()}
    example = (UNITS / "environment.example").read_text(encoding="utf-8")
    given |= set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))
    ours = {name for name in given if name != "PATH" and not name.startswith("PYTHON")}
    assert {name.removesuffix("_FILE") for name in ours} <= documented_variables()


def manifests() -> list[dict[str, Any]]:
    text = (MANIFESTS / "sentinel.yml").read_text(encoding="utf-8")
    return list(yaml.safe_load_all(text))


def pods() -> dict[str, dict[str, Any]]:
    """The specification of each pod, by its component."""
    found = {}
    for one in manifests():
        if one["kind"] in ("Deployment", "Job"):
            template = one["spec"]["template"]
            component = template["metadata"]["labels"]["app.kubernetes.io/component"]
            found[component] = template["spec"]
    return found


def of_kind(kind: str) -> Iterator[dict[str, Any]]:
    return (one for one in manifests() if one["kind"] == kind)


def test_the_manifests_are_what_the_schemas_of_kubernetes_know() -> None:
    example = yaml.safe_load((MANIFESTS / "secret.example.yml").read_text(encoding="utf-8"))
    [ingress] = [yaml.safe_load(text) for text in fences(page("kubernetes"), "yaml")]
    for one in [*manifests(), example, ingress]:
        assert validate(one, KUBERNETES, strict=True) == KUBERNETES
    # Strictly: also a name that it does not know is a fault.
    [service] = of_kind("Service")
    with pytest.raises(ValidationError, match="prots"):
        validate({**service, "spec": {**service["spec"], "prots": []}}, KUBERNETES, strict=True)


def test_a_pod_runs_what_the_container_runs() -> None:
    # The API's is the image's own.
    given = {name: pod["containers"][0].get("args", API) for name, pod in pods().items()}
    assert given == COMMANDS
    assert f"CMD {json.dumps(API)}\n" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_pod_can_do_no_more_than_it_must_and_is_watched(name: str) -> None:
    pod = pods()[name]
    [container] = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"]["runAsNonRoot"]
    assert f"--uid {pod['securityContext']['runAsUser']} " in (ROOT / "Dockerfile").read_text()
    # A Service named `sentinel` would set SENTINEL_PORT.
    assert (pod["enableServiceLinks"], pod["automountServiceAccountToken"]) == (False, False)
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    assert "memory" in container["resources"]["limits"]
    if name != "migrate":
        assert {"startupProbe", "livenessProbe"} <= set(container)
    if name in WORKERS:
        health = services()[name]["healthcheck"]["test"][1:]
        assert container["livenessProbe"]["exec"]["command"] == health
        grace = services()[name]["stop_grace_period"]
        assert f"{pod['terminationGracePeriodSeconds']}s" == grace


def test_the_pods_get_only_variables_that_are_read_and_secrets_that_exist() -> None:
    [config] = of_kind("ConfigMap")
    assert {name.removesuffix("_FILE") for name in config["data"]} <= documented_variables()
    example = yaml.safe_load((MANIFESTS / "secret.example.yml").read_text(encoding="utf-8"))
    named = {Path(value).name for key, value in config["data"].items() if key.endswith("_FILE")}
    assert named == set(example["stringData"])
    for pod in pods().values():
        secrets = {v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v}
        assert secrets == {example["metadata"]["name"]}
        assert pod["containers"][0]["envFrom"] == [{"configMapRef": {"name": "sentinel"}}]


def test_a_rollout_takes_no_pod_away_before_another_is_ready() -> None:
    for one in of_kind("Deployment"):
        assert one["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    [api] = [one for one in of_kind("Deployment") if one["metadata"]["name"] == "sentinel-api"]
    assert api["spec"]["replicas"] >= 2
    ready = pods()["api"]["containers"][0]["readinessProbe"]["httpGet"]
    # By its own address a pod would be refused: it answers only for the names it is called by.
    assert (ready["path"], ready["httpHeaders"]) == (
        "/readyz",
        [{"name": "Host", "value": "localhost"}],
    )


def test_the_selectors_find_the_pods_they_mean() -> None:
    for one in of_kind("Deployment"):
        labels = one["spec"]["template"]["metadata"]["labels"]
        assert one["spec"]["selector"]["matchLabels"] == labels
    [service] = of_kind("Service")
    assert service["spec"]["selector"]["app.kubernetes.io/component"] == "api"


def test_the_ingress_on_the_page_leads_to_a_service_and_a_name_that_are_there() -> None:
    [ingress] = [yaml.safe_load(text) for text in fences(page("kubernetes"), "yaml")]
    [rule] = ingress["spec"]["rules"]
    [path] = rule["http"]["paths"]
    [service] = of_kind("Service")
    [port] = service["spec"]["ports"]
    named = path["backend"]["service"]
    assert (named["name"], named["port"]["name"]) == (service["metadata"]["name"], port["name"])
    [config] = of_kind("ConfigMap")
    assert rule["host"] in config["data"]["SENTINEL_TRUSTED_HOSTS"].split(",")
    assert config["data"]["SENTINEL_PROXIES"] == "1"
