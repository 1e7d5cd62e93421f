"""The values that each setting allows, and the form in which they are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay.settings import Settings
from relay.settings.problem import SettingsError
from relay.settings.values import show
from tests.harness.certificate_authority import CertificateAuthority
from tests.settings.refused import problems_of


def test_origins_are_kept_as_browsers_send_them(monkeypatch: pytest.MonkeyPatch) -> None:
    given = "https://App.example.com:443, http://[::1]:8000,https://app.example.com"
    monkeypatch.setenv("RELAY_ALLOWED_ORIGINS", given)
    assert Settings().allowed_origins == ("https://app.example.com", "http://[::1]:8000")
    assert Settings(allowed_origins=("*",)).allowed_origins == ("*",)
    monkeypatch.setenv("RELAY_ALLOWED_ORIGINS", "null,https://*.Example.com:443")
    assert Settings().allowed_origins == ("null", "https://*.example.com")


def test_hosts_are_kept_in_lower_case_and_subprotocols_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_ALLOWED_HOSTS", "Relay.example.com., *.example.org,relay.example.com")
    monkeypatch.setenv("RELAY_SUBPROTOCOLS", "v2.Chat, *,v2.Chat")
    settings = Settings()
    assert settings.allowed_hosts == ("relay.example.com", "*.example.org")
    assert settings.subprotocols == ("v2.Chat", "*")


def test_a_wrong_origin_is_named() -> None:
    problem = problems_of(allowed_origins="https://a.example,example.com")["RELAY_ALLOWED_ORIGINS"]
    assert "'example.com'" in problem.allowed
    assert "scheme" in problem.allowed


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", ""),
        ("host", ()),
        ("host", "127.0.0.1,,::1"),
        ("host", "[::1]"),
        ("host", "a b"),
        ("host", "http://localhost"),
        ("port", "65536"),
        ("port", "80a"),
        ("max_connections", "0"),
        ("trusted_proxies", "proxy.example"),
        ("trusted_proxies", "10.0.0.1/8"),
        ("trusted_proxies", "127.0.0.1,,::1"),
        ("trusted_proxies", ()),
        ("handshake_timeout", "0"),
        ("max_header_bytes", "1"),
        ("allowed_origins", ()),
        ("allowed_origins", "https://a.example,"),
        ("allowed_origins", "example.com"),
        ("allowed_origins", "https://example.com/"),
        ("allowed_origins", "https://example.com/path"),
        ("allowed_origins", "https://*"),
        ("allowed_origins", "*.example.com"),
        ("allowed_origins", "https://user@example.com"),
        ("allowed_hosts", ()),
        ("allowed_hosts", "relay.example.com:8000"),
        ("allowed_hosts", "https://relay.example.com"),
        ("allowed_hosts", "a.*.example.com"),
        ("allowed_hosts", "[::1]"),
        ("allowed_hosts", "relay.example.com,"),
        ("subprotocols", ()),
        ("subprotocols", "a b"),
        ("subprotocols", "a,,b"),
        ("subprotocols", "a/b"),
        ("broker_prefix", "a b"),
        ("broker_prefix", "a\nb"),
        ("broker_prefix", "\udcff"),
        ("broker_prefix", "relay:b:"),
        ("broker_prefix", ""),
        ("broker_prefix", "relay"),
        ("broker_timeout", "nan"),
        ("broker_timeout", "inf"),
        ("broker_timeout", "61"),
        ("probe_interval", "0"),
        ("publish_timeout", "-1"),
        ("slow_consumer", "wait"),
        ("default_channel", "a b"),
        ("default_channel", "x" * 256),
        ("welcome", "\udcff"),
        ("log_format", "xml"),
        ("event_loop", "trio"),
    ],
)
def test_a_wrong_value_is_refused(name: str, value: object) -> None:
    """One variable, one problem."""
    assert list(problems_of(**{name: value})) == [f"RELAY_{name.upper()}"]


def test_trusted_proxies_are_addresses_and_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """None by default; each item once."""
    assert Settings().trusted_proxies is None
    monkeypatch.setenv("RELAY_TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1,2001:db8::/32,127.0.0.1")
    assert Settings().trusted_proxies == ("10.0.0.0/8", "127.0.0.1", "2001:db8::/32")


@pytest.mark.parametrize(
    "url",
    [
        "memory://",
        "redis://localhost",
        "redis://localhost:6379/0",
        "redis://user:p%40ss@redis.example.org:6380/15",
        "redis://:pass@[::1]:6379",
        "redis://localhost?db=3",
        "rediss://host:6379/1?ssl_cert_reqs=none",
        "unix:///run/redis.sock",
        "unix:///run/redis.sock?db=2&password=x",
    ],
)
def test_a_broker_url_is_accepted(url: str) -> None:
    """All forms that the brokers know."""
    assert Settings(broker_url=url).broker_url == url


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6379",
        "http://localhost",
        "memory://there",
        "redis://",
        "redis:///0",
        "redis://host:port",
        "redis://user:secret/x@host",
        "redis://user:secret#x@host",
        "redis://user:1?secret@host",
        "redis://host/0#secret",
        "redis://host/secret",
        "redis://host/-1",
        "redis://host?secret=1",
        "redis://host?ssl_cert_reqs=none",
        "redis://h\nost",
        "redis://user:secret℀@host",
        "unix://",
        "unix:///run/redis.sock?db=x",
    ],
)
def test_a_broker_url_is_refused_without_showing_a_password(url: str) -> None:
    """Neither in what was given nor in the reason."""
    problem = problems_of(broker_url=url)["RELAY_BROKER_URL"]
    assert problem.allowed.startswith("URL: memory://, redis://")
    assert "secret" not in problem.allowed
    if "@" in url:
        assert "secret" not in problem.given


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://host?socket_timeout=1", "options can be db, password, username"),
        ("redis://host/1?db=2", "db is given twice"),
        ("rediss://host?ssl_certfile=/nowhere.pem", "ssl_certfile and ssl_keyfile can't be used"),
        ("unix://run/redis.sock", "after three slashes"),
        ("localhost:6379", "the scheme must be one of memory://, redis://, rediss://, unix://"),
    ],
)
def test_a_broker_url_is_read_as_publishers_read_it(url: str, reason: str) -> None:
    """All of it counts, or it is refused at start; see `tests/brokers/redis/test_address.py`."""
    assert reason in problems_of(broker_url=url)["RELAY_BROKER_URL"].allowed


def test_the_password_is_not_part_of_what_an_error_prints() -> None:
    """Not even when the URL itself is right and another setting is wrong."""
    with pytest.raises(SettingsError) as refused:
        Settings(broker_url="redis://user:secret@host", port=-1)
    assert "secret" not in str(refused.value)
    assert "secret" not in repr(refused.value)
    assert refused.value.__cause__ is None


def test_settings_do_not_print_their_password() -> None:
    """`repr` ends up in tracebacks and logs."""
    assert "hunter2" not in repr(Settings(broker_url="redis://user:hunter2@host"))


def test_a_ca_file_must_be_usable(tmp_path: Path, certificate_authority: CertificateAuthority) -> None:
    """It exists, holds a certificate, and there is TLS to use it for."""
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    rediss = "rediss://localhost"
    right = str(certificate_authority.ca_file)
    assert Settings(broker_url=rediss, broker_ca_file=right).broker_ca_file == right
    missing = problems_of(broker_url=rediss, broker_ca_file=str(tmp_path / "none.pem"))
    assert "No such file" in missing["RELAY_BROKER_CA_FILE"].allowed
    assert (
        "no PEM certificate"
        in problems_of(broker_url=rediss, broker_ca_file=str(empty))["RELAY_BROKER_CA_FILE"].allowed
    )
    without_tls = problems_of(broker_url="redis://localhost", broker_ca_file=right)
    assert "does not start with rediss://" in without_tls["RELAY_BROKER_CA_FILE"].allowed


def test_a_long_wrong_value_is_cut() -> None:
    """A file may have been put into a variable by mistake."""
    assert len(problems_of(port="x" * 5000)["RELAY_PORT"].given) < 130


KEY = "canary-0123456789"


def test_api_keys_are_a_list_that_no_one_sees() -> None:
    settings = Settings(api_keys=f"{KEY}, {KEY}b")  # type: ignore[arg-type]  # text, as the environment has it
    assert settings.api_keys is not None
    assert [key.get_secret_value() for key in settings.api_keys] == [KEY, f"{KEY}b"]
    assert "canary" not in repr(settings)
    assert show(settings.api_keys) == "***,***"


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ("canary", "number 1 has 6 characters"),
        (f"{KEY},", "number 2 has 0 characters"),
        (f"{KEY} and more", "number 1 has other characters"),
        ("canary-" * 40, "number 1 has 280 characters"),
        (f"{KEY}\u00e9", "number 1 has other characters"),
    ],
)
def test_api_keys_that_can_be_guessed_or_not_be_sent_are_refused_unseen(keys: str, reason: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings(api_keys=keys)  # type: ignore[arg-type]  # text, as the environment has it
    (problem,) = refused.value.problems
    assert reason in problem.allowed
    assert "canary" not in str(refused.value) + repr(refused.value)
