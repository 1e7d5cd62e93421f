"""Who may do what, told at the start."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr

from relay import Gateway, Settings
from relay.gateway.access import FUNCTION, PROGRAM, auth_kind, identifies_users, report_access
from tests.conftest import GatewayFactory
from tests.gateway.admissions import Authenticator
from tests.harness.gateway_process import GatewayProcess
from tests.harness.redis_server import RedisServer

SECRET = "0123456789-hunter2-0123456789-abcdef"


async def identify(request: object) -> None:
    """Let nobody in; RELAY_AUTH names this function."""


@pytest.mark.parametrize(
    ("host", "level"), [("127.0.0.1", "info"), ("::1,localhost", "info"), ("0.0.0.0", "warning"), ("::", "warning")]
)
def test_that_everybody_may_do_everything_is_a_warning_beyond_this_machine(
    caplog: pytest.LogCaptureFixture, host: str, level: str
) -> None:
    caplog.set_level("INFO")
    settings = Settings(host=host)  # type: ignore[arg-type]
    report_access(settings, auth_kind(settings))
    (record,) = caplog.records
    assert record.levelname == level.upper()
    assert "every client may use every channel" in record.getMessage()
    assert "RELAY_AUTH is none" in record.getMessage()
    assert "RELAY_AUTH=key" in record.getMessage()


def test_credentials_that_nobody_asks_for_are_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Who has set a secret takes the relay for protected."""
    caplog.set_level("INFO")
    settings = Settings(jwt_secret=SecretStr(SECRET))
    report_access(settings, auth_kind(settings))
    record = caplog.records[0]
    assert record.levelname == "WARNING"
    assert "credentials are not asked for" in record.getMessage()
    assert "RELAY_JWT_SECRET" in record.getMessage()
    assert SECRET not in record.getMessage()


@pytest.mark.parametrize(("rights", "level"), [("news=r,*=", "INFO"), ("news=r,user:{sub}=rw", "WARNING")])
def test_rights_of_names_that_clients_choose_are_a_warning(
    caplog: pytest.LogCaptureFixture, rights: str, level: str
) -> None:
    caplog.set_level("INFO")
    settings = Settings(host=("0.0.0.0",), rights=rights)  # type: ignore[arg-type]
    report_access(settings, auth_kind(settings))
    (record,) = caplog.records
    assert record.levelname == level
    assert "every client has the same rights" in record.getMessage()
    assert "news" in record.getMessage()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"auth": "key", "auth_keys": f"{SECRET},{SECRET}2"}, ["by=keys", "keys=2"]),
        (
            {"auth": "jwt", "jwt_secret": SECRET, "jwt_previous_secret": SECRET * 2, "jwt_issuer": "me"},
            ["by=tokens", "RELAY_JWT_SECRET", "RELAY_JWT_PREVIOUS_SECRET", "issuer=me"],
        ),
        ({"auth": f"{__name__}.identify"}, ["by=a function", f"function={__name__}.identify"]),
    ],
)
def test_by_what_clients_are_identified_is_told_without_secrets(
    caplog: pytest.LogCaptureFixture, settings: dict[str, Any], words: list[str]
) -> None:
    caplog.set_level("INFO")
    given = Settings(host=("0.0.0.0",), **settings)
    report_access(given, auth_kind(given))
    (record,) = caplog.records
    said = record.getMessage()
    assert record.levelname == "INFO"
    assert "clients are identified" in said
    assert [word for word in words if word not in said] == []
    assert "hunter2" not in said


async def test_a_program_that_identifies_its_clients_is_not_taken_for_none(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with Gateway(Settings(port=0, drain_seconds=0), authenticator=Authenticator()):
        said = " ".join(record.getMessage() for record in caplog.records)
    assert "everybody may" not in said
    assert "by=the program that runs this gateway" in said
    assert "auth=program" in said


async def test_of_several_workers_one_process_tells_it(gateways: GatewayFactory, redis_server: RedisServer) -> None:
    gateway: GatewayProcess
    (gateway,) = await gateways(1, broker_url=redis_server.url, workers=2)
    (record,) = gateway.records("every client may use every channel")
    assert "worker" not in record
    assert json.dumps(record).count("RELAY_AUTH is none") == 1


@pytest.mark.parametrize(
    ("kind", "identified"),
    [("none", False), ("key", False), ("jwt", True), ("http", True), (FUNCTION, True), (PROGRAM, True)],
)
def test_a_name_is_that_of_one_user_unless_clients_can_claim_or_share_it(kind: str, identified: bool) -> None:
    assert identifies_users(kind) is identified
