"""Fixtures of all tests: a real Redis, gateways as processes and gateways in this process."""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from relay.logs import logger
from relay.logs.logger import EntryLimiter
from tests.harness import forked_process, guard
from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.coverage_breaks import CoverageBreaks
from tests.harness.deployment import EVENT_LOOPS, Deployment
from tests.harness.environment import neutralize
from tests.harness.failure_report import pytest_runtest_makereport as pytest_runtest_makereport
from tests.harness.fan_outs import WAYS, need
from tests.harness.file_by_file import FileByFile
from tests.harness.gateway_process import GatewayProcess, Setting, end, launch
from tests.harness.redis_server import RedisServer
from tests.harness.tcp_proxy import TcpProxy

if TYPE_CHECKING:
    from relay import Gateway
    from tests.harness.browser import Browser

GatewayFactory = Callable[..., Coroutine[Any, Any, list[GatewayProcess]]]
EmbeddedFactory = Callable[..., Coroutine[Any, Any, "list[Gateway]"]]
RedisFactory = Callable[..., RedisServer]
ProxyFactory = Callable[[int], Coroutine[Any, Any, TcpProxy]]

_numbers = itertools.count()

neutralize()

# A property is no measure of speed: on a busy machine any example may be slow. Where the variable CI is set, Hypothesis
# would always try the same examples. `make test` takes the brief profile, and `make properties` tries all examples.
settings.register_profile(
    "relay",
    settings.get_profile("default"),
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("brief", settings.get_profile("relay"), max_examples=20)
settings.load_profile("relay")


SLOWEST = (
    "tests/faults/",
    "tests/system/test_workers.py",
    "tests/web/test_demo_",
    "tests/docs/test_guide_in_browser.py",
    "tests/workers/test_supervisor.py",
    "tests/system/test_fallback_clients.py",
    "tests/loadtest/report/test_in_browser.py",
    "tests/loadtest/run/test_result_builder.py",
    "tests/system/",
    "tests/test_imports.py",
    "tests/cli/",
    "tests/loadtest/test_s",
    "tests/web/",
    "tests/deploy/",
)
"""What takes longest begins first: where files are spread over processes, one that begins last is waited for alone."""


def pytest_configure(config: pytest.Config) -> None:
    """Measure coverage of the tests alone, and let a process of xdist load only what it runs."""
    config.pluginmanager.register(CoverageBreaks())
    if hasattr(config, "workerinput") and not any("::" in path for path in config.args):
        config.pluginmanager.register(FileByFile())


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """Put the slowest files first, and leave the order within each as it is."""
    yield
    items.sort(key=lambda item: next((n for n, path in enumerate(SLOWEST) if item.nodeid.startswith(path)), 99))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage among thousands of tests that all stay: that was a tenth of the time this takes."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """Spare the garbage collector the thousands of tests: those that collect would look through them each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _guard() -> Iterator[None]:
    """End the processes that help, after the last test."""
    yield
    forked_process.dismiss()
    guard.dismiss()


@pytest.fixture(autouse=True)
def _fresh_log_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test leave out log entries of the next one: they are counted for the whole process."""
    monkeypatch.setattr(logger, "limiter", EntryLimiter())


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis for tests that leave it alone; each uses a prefix or a channel of its own."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis that the test may kill and pause."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_with() -> Iterator[RedisFactory]:
    """Start servers with a password, TLS and the like: `redis_with(password=...)`; takes what `RedisServer` takes.

    Ask for it before `gateways`: then these end before their Redis.
    """
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(RedisServer(**options))


@pytest.fixture(scope="session")
def certificate_authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """A certificate authority of this test run."""
    path: Path = tmp_path_factory.mktemp("authority")
    return CertificateAuthority(path)


@pytest.fixture
def prefix() -> str:
    """A prefix of Redis channels that no other test uses."""
    return f"test-{next(_numbers)}:"


@pytest.fixture
def channel() -> str:
    """A channel that no other test uses."""
    return f"channel-{next(_numbers)}"


@pytest.fixture(params=WAYS)
def each_fan_out(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the gateways that the test starts fan out in each way in turn, and to groups of any size."""
    need(request.param)
    monkeypatch.setenv("RELAY_FANOUT", request.param)
    return str(request.param)


@pytest.fixture(scope="module")
def _clusters(redis_server: RedisServer) -> Iterator[dict[str, list[GatewayProcess]]]:
    """Event loop → the cluster with it, once a test has asked for it; they end before their Redis.

    They live as long as the module: pytest would end a parametrised fixture whenever the next test wants its other
    parameter. Kept for the modules that follow, the clusters of all processes of a test run would use a third of a
    processor to do nothing.
    """
    clusters: dict[str, list[GatewayProcess]] = {}
    yield clusters
    end(itertools.chain.from_iterable(clusters.values()))


@pytest.fixture(scope="module", params=EVENT_LOOPS)
def cluster(
    request: pytest.FixtureRequest,
    redis_server: RedisServer,
    certificate_authority: CertificateAuthority,
    _clusters: dict[str, list[GatewayProcess]],
) -> list[GatewayProcess]:
    """Three gateways over one Redis with the default settings; tests must leave them as they were.

    They are shared by a module. It may ask for `asyncio TLS` and `uvloop TLS` as well; clients of the harness speak TLS
    with those. And for `uvloop send` and the like: a way to fan out.
    """
    if request.param not in _clusters:
        loop, *more = request.param.split()
        fanout = next((word for word in more if word in WAYS), "auto")
        need(fanout)
        settings = {"broker_url": redis_server.url, "event_loop": loop, "fanout": fanout}
        start = partial(GatewayProcess.secure, certificate_authority) if "TLS" in more else GatewayProcess
        gateways = _clusters[request.param] = [start(**settings) for _ in range(3)]
        for gateway in gateways:
            gateway.start_blocking()
    return _clusters[request.param]


@pytest.fixture(scope="module")
def _deployment() -> Iterator[Deployment]:
    with Deployment() as deployment:
        yield deployment


@pytest_asyncio.fixture
async def deployment(_deployment: Deployment) -> AsyncIterator[Deployment]:
    """A Redis that the test may kill and pause, and two gateways; shared by a module, and healed after each test."""
    try:
        yield _deployment
    finally:
        await _deployment.heal()


@pytest_asyncio.fixture
async def gateways() -> AsyncIterator[GatewayFactory]:
    """Start gateway processes: `await gateways(2, broker_url=...)`; ready when it returns.

    Without a given `event_loop` they take uvloop and asyncio in turn, so that every test covers both. With an
    `authority` they speak TLS, and so do clients of the harness.
    At the end none of them may have complained in its log.
    """
    started: list[GatewayProcess] = []

    async def start(
        count: int, authority: CertificateAuthority | None = None, **settings: Setting
    ) -> list[GatewayProcess]:
        launch_one = GatewayProcess if authority is None else partial(GatewayProcess.secure, authority)
        usual = {"fanout": os.environ.get("RELAY_FANOUT", "auto"), **settings}  # see `each_fan_out`
        fresh = [launch_one(**{"event_loop": EVENT_LOOPS[n % 2], **usual}) for n in range(count)]
        started.extend(fresh)
        return await launch(*fresh)

    try:
        yield start
    finally:
        end(started)


@pytest_asyncio.fixture
async def embedded() -> AsyncIterator[EmbeddedFactory]:
    """Start gateways inside the test's own event loop: `await embedded(2, broker_url=...)`."""
    from relay import Gateway, Settings

    async with AsyncExitStack() as stack:

        async def start(count: int, **settings: Any) -> list[Gateway]:
            given = {"port": 0, "drain_seconds": 0, "ping_interval": 3600, **settings}
            return [await stack.enter_async_context(Gateway(Settings(**given))) for _ in range(count)]

        yield start


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for all tests of a module; not for more, as no test with an event loop can run beside it."""
    from tests.harness.browser import Browser, find_chromium

    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium here: sh tests/install.sh chromium")
    with Browser(program) as started:
        yield started


@pytest_asyncio.fixture
async def proxy_to() -> AsyncIterator[ProxyFactory]:
    """Start proxies in front of a port: `await proxy_to(port)`."""
    async with AsyncExitStack() as stack:
        yield lambda target: stack.enter_async_context(TcpProxy(target))
