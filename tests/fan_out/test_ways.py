"""Which way is taken, and what happens where one isn't there."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from relay import Gateway, Settings
from relay.fan_out import library
from relay.fan_out.direct_socket import OPEN, SKIPPED, WITHHELD
from relay.fan_out.library import FanOutUnavailable, load
from relay.fan_out.ways import BEST_FIRST, check_way, open_fan_out
from relay.settings.problem import SettingsError
from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.fan_outs import NATIVE, need
from tests.harness.http_response import get
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import connected

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def other_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Where the library is looked for; there is none."""
    place = tmp_path / "native.so.1"
    monkeypatch.setattr(library, "PATH", place)
    load.cache_clear()
    yield place
    load.cache_clear()


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open no more files: then the kernel refuses a ring, as it does where io_uring is forbidden."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_both_halves_have_the_same_numbers() -> None:
    source = (ROOT / "relay/fan_out/native.c").read_text()
    assert f"#define INTERFACE {library.INTERFACE}\n" in source
    stated = dict(re.findall(r"^    (WITHHELD|OPEN|SKIPPED) = (\d)", source, re.MULTILINE))
    assert stated == {"WITHHELD": str(WITHHELD), "OPEN": str(OPEN), "SKIPPED": str(SKIPPED)}


def test_without_a_library_python_is_left(other_library: Path) -> None:
    assert open_fan_out("auto") == ("python", None)
    for way in NATIVE:
        with pytest.raises(FanOutUnavailable, match="no C compiler"):
            open_fan_out(way)
    check_way("python")


def test_a_library_of_another_version_is_not_used(other_library: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler here")
    code = "int relay_fan_out_interface(void) { return 0; }"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", other_library, "-xc", "-"], input=code, text=True, check=True)
    with pytest.raises(FanOutUnavailable, match="another version"):
        open_fan_out("send")
    assert open_fan_out("auto") == ("python", None)


def test_what_is_no_library_is_not_used(other_library: Path) -> None:
    other_library.write_bytes(b"cut off")
    with pytest.raises(FanOutUnavailable, match="can't be loaded"):
        open_fan_out("send")
    assert open_fan_out("auto") == ("python", None)


def test_where_io_uring_is_refused_send_is_left() -> None:
    need("io_uring")
    with no_more_files():
        way, opened = open_fan_out("auto")
        with pytest.raises(FanOutUnavailable, match="refuses io_uring: Too many open files"):
            open_fan_out("io_uring")
    assert way == "send"
    assert opened is not None
    opened.close()


def test_the_best_is_taken() -> None:
    need("io_uring")
    way, opened = open_fan_out("auto")
    assert way == BEST_FIRST[0] == "io_uring"
    assert opened is not None
    assert opened.least > 1
    before = len(os.listdir("/proc/self/fd"))
    opened.close()
    assert len(os.listdir("/proc/self/fd")) == before - 1


def test_a_way_that_is_not_there_is_a_problem_of_the_settings(other_library: Path) -> None:
    with pytest.raises(SettingsError, match=r"RELAY_FANOUT: got .*send.*no C compiler"):
        Settings(fanout="send")


async def test_one_that_has_gone_since_is_a_problem_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    need("send")
    gateway = Gateway(Settings(port=0, fanout="send"))

    def refuse(*, io_uring: bool) -> int:
        raise FanOutUnavailable("no memory")

    monkeypatch.setattr(library, "make", refuse)
    with pytest.raises(SettingsError, match=r"RELAY_FANOUT: got 'send'.*no memory"):
        await gateway.start()


async def test_an_operator_sees_which_way_is_at_work(gateways: GatewayFactory, each_fan_out: str) -> None:
    (gateway,) = await gateways(1)
    (record,) = gateway.records("listening")
    assert record["fanout"] == each_fan_out
    page = (await get(gateway.port, "/metrics")).text
    assert f'relay_fanout_info{{way="{each_fan_out}"}} 1.0' in page


async def test_each_worker_has_a_way_of_its_own(
    gateways: GatewayFactory, redis_server: RedisServer, prefix: str
) -> None:
    need("io_uring")
    (gateway,) = await gateways(
        1, broker_url=redis_server.url, broker_prefix=prefix, workers=2, fanout="io_uring", event_loop="uvloop"
    )
    page = (await get(gateway.port, "/metrics")).text
    assert 'relay_fanout_info{way="io_uring"} 2.0' in page
    url = f"{gateway.url}/ws/a"
    async with connected(*[url] * 12) as (sender, *others):
        for number in range(30):
            await sender.send(f"{number}")
        for other in others:
            assert await other.receive(30) == [f"{number}" for number in range(30)]


async def test_a_gateway_that_has_stopped_leaves_no_ring(embedded: EmbeddedFactory) -> None:
    need("io_uring")
    before = len(os.listdir("/proc/self/fd"))
    (gateway,) = await embedded(1, fanout="io_uring")
    await gateway.drain()
    assert len(os.listdir("/proc/self/fd")) <= before
