"""The URL schemes of buses, and a bus that is added with one line."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import ModuleType

import pytest

from relay import Gateway, Settings
from relay.brokers import BrokerOptions, load_broker, schemes
from relay.brokers.memory import MemoryBroker
from relay.brokers.schemes import Scheme
from relay.metrics.counters import Counters
from relay.settings.problem import SettingsError
from tests.brokers.recording import RecordingSink
from tests.harness.conditions import wait_until
from tests.harness.websocket_client import connected


def test_the_table_imports_nothing_of_the_house() -> None:
    """Reading settings must load no broker."""
    tree = ast.parse(Path(schemes.__file__).read_text())
    imported = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)}
    assert not [name for name in imported if "relay" in name]


@pytest.mark.parametrize("name", schemes.SCHEMES)
def test_each_scheme_has_what_its_line_names(name: str) -> None:
    scheme = schemes.SCHEMES[name]
    assert scheme.form.startswith(f"{name}://")
    assert schemes.find(f"{name.upper()}://") is scheme
    assert schemes.broker_class(f"{name}://").__name__.endswith("Broker")


@pytest.mark.parametrize("url", ["", "http://h", "localhost:6379"])
def test_an_unknown_scheme_is_refused_with_those_that_there_are(url: str) -> None:
    for use in (schemes.find, schemes.check_url, schemes.describe, schemes.broker_class):
        with pytest.raises(ValueError, match=r"one of memory://, redis://, rediss://, unix://"):
            use(url)


class TestBroker(MemoryBroker):
    """A bus that exists here only."""

    __test__ = False


def _check_url(url: str) -> None:
    if not url.startswith("test://"):
        raise ValueError("the host is missing")


@pytest.fixture
def new_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add a bus as its author would: a module, and a line in the table."""
    module = ModuleType("new_bus")
    vars(module).update(broker_class=TestBroker, check_url=_check_url, describe=lambda url: "test://somewhere")
    monkeypatch.setitem(sys.modules, "new_bus", module)
    line = Scheme("new_bus", "new_bus", "test://host", connects_processes=False)
    monkeypatch.setitem(schemes.SCHEMES, "test", line)


@pytest.mark.usefixtures("new_bus")
async def test_a_gateway_runs_on_a_bus_that_is_one_module_and_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "relay")
    async with Gateway(Settings(port=0, broker_url="test://user:secret@host")) as gateway:
        assert "bus=test://somewhere" in caplog.text
        assert "secret" not in caplog.text
        await wait_until(lambda: gateway.ready)
        async with connected(f"{gateway.url}/ws/a") as (client,):
            assert await gateway.publish("a", "hello") == 1
            assert await client.receive(1) == ["hello"]


@pytest.mark.usefixtures("new_bus")
def test_settings_ask_a_new_bus() -> None:
    assert schemes.rule().endswith("unix:///path[?db=0], or test://host")
    assert isinstance(load_broker(BrokerOptions("TEST://h"), RecordingSink(), Counters()), TestBroker)
    for values, reason in (
        ({"broker_url": "test:"}, "the host is missing"),
        ({"broker_url": "test://h", "workers": 2}, "test:// can't connect processes"),
        ({"broker_url": "other://h"}, "one of memory://, redis://, rediss://, unix://, test://"),
    ):
        with pytest.raises(SettingsError, match=reason):
            Settings(**values)
