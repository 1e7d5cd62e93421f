"""Settings: where they come from, what they allow, and how wrong ones are told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from relay.errors import SettingProblem, SettingsError
from relay.settings import Settings
from relay.settings.values import show
from tests.harness.certificate_authority import CertificateAuthority


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.upper().startswith("RELAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def problems_of(**overrides: Any) -> dict[str, SettingProblem]:
    """Return what is wrong with settings, by variable."""
    with pytest.raises(SettingsError) as refused:
        Settings(**overrides)
    return {problem.variable: problem for problem in refused.value.problems}


def test_defaults_are_a_gateway_alone_on_this_machine() -> None:
    """Without any configuration."""
    settings = Settings()
    assert settings.host == ("127.0.0.1",)
    assert settings.port == 8000
    assert settings.broker_url == "memory://"
    assert settings.default_channel == "lobby"
    assert settings.welcome is None
    assert settings.max_connections is None


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers, lists and choices are typed; names and choices in any case."""
    monkeypatch.setenv("RELAY_PORT", "9001")
    monkeypatch.setenv("RELAY_HOST", "127.0.0.1, ::1,localhost,::1")
    monkeypatch.setenv("RELAY_WRITE_DELAY", "2.5")
    monkeypatch.setenv("RELAY_SLOW_CONSUMER", "DROP")
    monkeypatch.setenv("relay_max_connections", "10")
    settings = Settings()
    assert settings.port == 9001
    assert settings.host == ("127.0.0.1", "::1", "localhost")
    assert settings.write_delay == 2.5
    assert settings.slow_consumer == "drop"
    assert settings.max_connections == 10


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the environment and in .env."""
    monkeypatch.setenv("RELAY_PORT", "")
    (tmp_path / ".env").write_text("RELAY_WELCOME=\nRELAY_MAX_HEADERS=50\n")
    settings = Settings()
    assert (settings.port, settings.welcome, settings.max_headers) == (8000, None, 50)


def test_keywords_beat_the_environment_which_beats_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The nearer to the one who starts it, the stronger."""
    (tmp_path / ".env").write_text("RELAY_PORT=1\nRELAY_PING_INTERVAL=11\nRELAY_DRAIN_SECONDS=1\n")
    monkeypatch.setenv("RELAY_PORT", "2")
    monkeypatch.setenv("RELAY_PING_INTERVAL", "12")
    settings = Settings(port=3)
    assert (settings.port, settings.ping_interval, settings.drain_seconds) == (3, 12, 1)


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


def test_settings_are_frozen() -> None:
    """Nothing changes them once they are checked."""
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1
    assert hash(settings) == hash(Settings())


def test_every_wrong_value_is_reported_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From all places, each with what was given and what is allowed."""
    (tmp_path / ".env").write_text("RELAY_PING_TIMEOUT=30\n")
    monkeypatch.setenv("RELAY_PORT", "70000")
    monkeypatch.setenv("RELAY_LOG_LEVEL", "loud")
    found = problems_of(write_delay="soon")
    assert found == {
        "RELAY_PORT": SettingProblem("RELAY_PORT", "'70000'", "integer: 0 to 65535"),
        "RELAY_LOG_LEVEL": SettingProblem("RELAY_LOG_LEVEL", "'loud'", "choice: debug|info|warning|error"),
        "RELAY_WRITE_DELAY": SettingProblem("RELAY_WRITE_DELAY", "'soon'", "milliseconds: 0 to 1000"),
        "RELAY_PING_TIMEOUT": SettingProblem(
            "RELAY_PING_TIMEOUT", "'30'", "seconds: 0.1 to 3600 (at most RELAY_PING_INTERVAL, which is 25)"
        ),
    }


def test_the_text_of_the_error_lists_all_problems() -> None:
    """One line each."""
    with pytest.raises(SettingsError) as refused:
        Settings(port=-1, max_headers=0)
    assert str(refused.value).splitlines() == [
        "RELAY_PORT: got -1; allowed: integer: 0 to 65535",
        "RELAY_MAX_HEADERS: got 0; allowed: integer: 1 to 128",
    ]


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
        ("allowed_hosts", "*"),
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
    """Nobody by default; each once."""
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


def test_the_authority_is_named_once(certificate_authority: CertificateAuthority) -> None:
    ca = str(certificate_authority.ca_file)
    problem = problems_of(broker_url=f"rediss://host?ssl_ca_certs={ca}", broker_ca_file=ca)["RELAY_BROKER_CA_FILE"]
    assert "not besides the ssl_ca_certs of RELAY_BROKER_URL" in problem.allowed
    assert Settings(broker_url="REDISS://host", broker_ca_file=ca).broker_ca_file == ca


def test_the_password_is_not_part_of_what_an_error_prints() -> None:
    """Not even when the URL itself is right and another setting is wrong."""
    with pytest.raises(SettingsError) as refused:
        Settings(broker_url="redis://user:secret@host", port=-1)
    assert "secret" not in str(refused.value)
    assert "secret" not in repr(refused.value)
    assert refused.value.__cause__ is None


def test_settings_do_not_print_their_password() -> None:
    """`repr` ends up in tracebacks and logs."""
    assert "secret" not in repr(Settings(broker_url="redis://user:secret@host"))


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


def test_a_wrong_broker_url_is_not_blamed_on_the_ca_file(certificate_authority: CertificateAuthority) -> None:
    """A check over two settings needs both to be right on their own."""
    found = problems_of(broker_url="nonsense", broker_ca_file=str(certificate_authority.ca_file))
    assert list(found) == ["RELAY_BROKER_URL"]


@pytest.mark.parametrize("name", ["publish_buffer_bytes", "send_buffer_bytes"])
def test_a_buffer_has_room_for_the_largest_message(name: str) -> None:
    """Otherwise a message that is allowed could never pass."""
    found = problems_of(**{name: 2000})
    assert "at least RELAY_MAX_MESSAGE_BYTES, which is 65536" in found[f"RELAY_{name.upper()}"].allowed
    small: dict[str, Any] = {name: 2000, "max_message_bytes": 2000}
    assert getattr(Settings(**small), name) == 2000


def test_a_kubernetes_service_link_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Service called `relay` sets RELAY_PORT in every pod of its namespace."""
    monkeypatch.setenv("RELAY_PORT", "tcp://10.0.0.1:8000")
    monkeypatch.setenv("RELAY_METRICS_PORT", "tcp://10.0.0.1:8000")
    assert "enableServiceLinks" in problems_of()["RELAY_PORT"].allowed
    assert "enableServiceLinks" in problems_of()["RELAY_METRICS_PORT"].allowed


def test_metrics_have_another_port_than_clients() -> None:
    """Both can't be listened on; 0, any free port, would be one that no scraper knows."""
    refused = problems_of(port=9000, metrics_port=9000)["RELAY_METRICS_PORT"]
    assert refused.given == "9000"
    assert refused.allowed == "integer: 1 to 65535 (not RELAY_PORT, which is 9000; leave it out to have metrics there)"
    assert list(problems_of(metrics_port=0)) == ["RELAY_METRICS_PORT"]
    assert Settings(port=9000, metrics_port=9001).metrics_port == 9001


def test_uvloop_must_be_installed_to_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` takes what is there."""
    monkeypatch.setattr("relay.settings.find_spec", lambda name: None)
    assert "pip install 'relay-pubsub[uvloop]'" in problems_of(event_loop="uvloop")["RELAY_EVENT_LOOP"].allowed
    assert Settings(event_loop="auto").event_loop == "auto"


def test_an_override_that_is_no_setting_is_a_mistake_of_the_program() -> None:
    """Silently ignored, it would look as if it worked."""
    with pytest.raises(TypeError, match="not a setting: prot"):
        Settings(prot=1)  # type: ignore[call-arg]


def test_a_broken_env_file_is_a_problem(tmp_path: Path) -> None:
    """Not a traceback."""
    (tmp_path / ".env").write_bytes(b"RELAY_WELCOME=\xff\xfe\n")
    assert problems_of()[".env"].allowed == "a readable UTF-8 file of NAME=value lines"


def test_a_line_of_the_env_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    """Not a gateway that runs with the default. Its value stays untold; a line of another program is not looked at."""
    (tmp_path / ".env").write_text('OTHER 1\n\nexport RELAY_API_KEYS hidden\nRELAY_PORT=x\nRELAY_WELCOME="open\n')
    found = problems_of()
    assert set(found) == {"RELAY_API_KEYS", "RELAY_PORT", "RELAY_WELCOME"}
    assert found["RELAY_API_KEYS"].given == "line 3 of .env, which can't be read"
    assert [name for name in sorted(found) if found[name].located] == ["RELAY_API_KEYS", "RELAY_WELCOME"]
    assert found["RELAY_API_KEYS"].allowed == "RELAY_API_KEYS=value, in quotes that end when it begins with one"


def test_a_folder_called_env_is_ignored(tmp_path: Path) -> None:
    """As some container mounts leave behind."""
    (tmp_path / ".env").mkdir()
    assert Settings().port == 8000


def test_other_lines_of_the_env_file_are_ignored(tmp_path: Path) -> None:
    """It may be shared with other programs; PORT is not ours."""
    (tmp_path / ".env").write_text("PORT=1\nOTHER=2\nRELAY_NONE_OF_OURS=3\n")
    assert Settings().port == 8000


def test_a_long_wrong_value_is_cut() -> None:
    """Somebody may have put a file into a variable."""
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
        (f"{KEY} and more", "number 1 has others"),
        ("canary-" * 40, "number 1 has 280 characters"),
        (f"{KEY}\u00e9", "number 1 has others"),
    ],
)
def test_api_keys_that_can_be_guessed_or_not_be_sent_are_refused_unseen(keys: str, reason: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings(api_keys=keys)  # type: ignore[arg-type]  # text, as the environment has it
    (problem,) = refused.value.problems
    assert reason in problem.allowed
    assert "canary" not in str(refused.value) + repr(refused.value)
