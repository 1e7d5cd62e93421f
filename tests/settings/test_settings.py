"""Settings: where they come from, how they depend on each other, and how problems are reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from relay.settings import Settings
from relay.settings.problem import SettingProblem, SettingsError
from tests.harness.certificate_authority import CertificateAuthority
from tests.settings.refused import problems_of


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
    """The nearer a source is to the command that starts the gateway, the stronger it is."""
    (tmp_path / ".env").write_text("RELAY_PORT=1\nRELAY_PING_INTERVAL=11\nRELAY_DRAIN_SECONDS=1\n")
    monkeypatch.setenv("RELAY_PORT", "2")
    monkeypatch.setenv("RELAY_PING_INTERVAL", "12")
    settings = Settings(port=3)
    assert (settings.port, settings.ping_interval, settings.drain_seconds) == (3, 12, 1)


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


def test_the_authority_is_named_once(certificate_authority: CertificateAuthority) -> None:
    ca = str(certificate_authority.ca_file)
    problem = problems_of(broker_url=f"rediss://host?ssl_ca_certs={ca}", broker_ca_file=ca)["RELAY_BROKER_CA_FILE"]
    assert "not together with ssl_ca_certs in RELAY_BROKER_URL" in problem.allowed
    assert Settings(broker_url="REDISS://host", broker_ca_file=ca).broker_ca_file == ca


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
    monkeypatch.setattr("relay.settings.process.find_spec", lambda name: None)
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
    """The gateway must not run with the default. The value is not shown; lines of other programs are ignored."""
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
    """The file may be shared with other programs: PORT is not a setting of the relay."""
    (tmp_path / ".env").write_text("PORT=1\nOTHER=2\nRELAY_NONE_OF_OURS=3\n")
    assert Settings().port == 8000
