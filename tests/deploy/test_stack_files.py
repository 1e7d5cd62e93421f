"""The files of the compose stack, as far as they can be judged without an engine; tests/compose runs them."""

from __future__ import annotations

import itertools
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import redis
import yaml

import relay
from relay.settings import Settings
from tests.cli.command import invoke
from tests.harness.conditions import wait_until_blocking
from tests.harness.free_port import free_port

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
BALANCER = (ROOT / "deploy" / "haproxy.cfg").read_text()
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()


def test_the_example_of_settings_is_what_the_command_prints() -> None:
    """Mend it with `make env-example`."""
    assert (ROOT / ".env.example").read_text() == invoke("config", "--env").output


def test_every_variable_of_a_gateway_is_a_setting() -> None:
    names = {f"RELAY_{name.upper()}" for name in Settings.model_fields}
    assert set(COMPOSE["services"]["gateway"]["environment"]) <= names
    assert set(re.findall(r"RELAY_[A-Z_]+[A-Z]", DOCKERFILE + BALANCER)) <= names


def test_a_gateway_has_time_for_its_drain() -> None:
    gateway = COMPOSE["services"]["gateway"]
    defaults = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(value)) for name, value in gateway["environment"].items()}
    drain = float(defaults["RELAY_DRAIN_DELAY"]) + float(defaults["RELAY_DRAIN_SECONDS"])
    assert drain + 10 <= float(gateway["stop_grace_period"].rstrip("s"))


def test_the_balancer_waits_longer_than_clients_are_silent() -> None:
    times = {name: _seconds(value) for name, value in re.findall(r"^ *timeout ([\w-]+) (\w+)$", BALANCER, re.MULTILINE)}
    interval = Settings.model_fields["ping_interval"].default + Settings.model_fields["ping_timeout"].default
    assert min(times["tunnel"], times["client"], times["server"]) > 2 * interval


def test_the_balancer_starts_where_open_files_have_no_limit() -> None:
    """It makes room for each of them beforehand, and some engines allow a billion."""
    limit = re.search(r"^global\n(?: .*\n)* +fd-hard-limit (\d+)$", BALANCER, re.MULTILINE)
    assert limit is not None
    assert int(limit[1]) == 1 << 20


def test_nothing_is_published_beyond_this_machine() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert all("127.0.0.1:" in port for port in ports)


def test_images_have_a_version() -> None:
    images = [service["image"] for service in COMPOSE["services"].values() if "image" in service]
    images += re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(images) == 6
    assert all(re.search(r":v?\d+\.\d+", image) for image in images), images


def test_the_image_says_which_version_it_holds() -> None:
    assert f"ARG VERSION={relay.__version__}\n" in DOCKERFILE


def test_the_image_has_all_that_the_build_reads() -> None:
    """What .dockerignore lets in: the build file, the files that it names, and the lock files."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    allowed = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"}
    locks = {f"deploy/{path.name}" for path in (ROOT / "deploy").glob("*.lock")}
    assert {
        "pyproject.toml",
        "hatch_build.py",
        project["readme"],
        *project["license-files"],
        "relay",
        "docs",
        *locks,
    } == allowed
    read = {name for names in re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE, re.MULTILINE) for name in names.split()}
    assert read == allowed


def test_each_line_of_the_redis_configuration_has_its_reason() -> None:
    lines = (ROOT / "deploy" / "redis.conf").read_text().splitlines()
    for before, line in itertools.pairwise(lines):
        if line and not line.startswith("#"):
            assert before.startswith("#"), line


def test_redis_takes_its_configuration(tmp_path: Path) -> None:
    """A real one, on another port and in another folder."""
    port = free_port()
    changed = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    process = subprocess.Popen(["redis-server", str(ROOT / "deploy" / "redis.conf"), *changed])
    try:
        client = redis.Redis(port=port)
        wait_until_blocking(lambda: _answers(client), what="Redis answers")
        taken = client.config_get("*")
        assert taken["maxmemory-policy"] == "noeviction"
        assert taken["appendonly"] == "yes"
        assert f"pubsub {64 << 20} {16 << 20} 30" in str(taken["client-output-buffer-limit"])
        client.close()
    finally:
        process.terminate()
        assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--help"], 0, "Usage: deploy/rolling-restart"),
        (["--now"], 2, "unknown argument --now"),
        (["--timeout"], 2, "--timeout needs a number of seconds"),
        (["--timeout", "soon"], 2, "--timeout needs a number of seconds"),
    ],
)
def test_a_rolling_restart_explains_itself(arguments: list[str], code: int, words: str) -> None:
    done = subprocess.run([ROOT / "deploy" / "rolling-restart", *arguments], capture_output=True, text=True)
    assert done.returncode == code
    assert words in (done.stderr if code else done.stdout)


def _seconds(value: str) -> float:
    unit = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    number, suffix = re.fullmatch(r"(\d+)(\w+)", value).groups()  # type: ignore[union-attr] # HAProxy has read it
    return float(number) * unit[suffix]


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
