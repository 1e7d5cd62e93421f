"""`relay loadtest`: what it does with what its options say."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from relay.cli import loadtest_plan
from relay.loadtest.plan.plan import Act, Dialect, Hears, Over, Plan
from relay.loadtest.result.faults import Faults
from relay.loadtest.result.result import Result
from relay.loadtest.run.conditions import Conditions
from relay.loadtest.run.coordinator import Coordinator
from relay.loadtest.run.worker_pool import LoadWorkerError
from tests.cli.command import invoke
from tests.harness.broadcast_server import BroadcastServer
from tests.harness.conditions import wait_until
from tests.harness.load_test import LoadTest, run_load_test
from tests.loadtest.progress_reports import make_progress

URL = "ws://127.0.0.1:1"


class Course:
    """A run that is over at once.

    Attributes:
        plans: of the runs that there were.
        became: what becomes of each; connects everybody unless told otherwise.
    """

    def __init__(self) -> None:
        self.plans: list[Plan] = []
        self.became: Callable[[Coordinator], None] = lambda run: None

    async def __call__(self, run: Coordinator) -> None:
        self.plans.append(run.plan)
        run.state.totals.add(0, make_progress(sessions=run.state.wanted, resumed=int(run.plan.resume)))
        self.became(run)

    @property
    def plan(self) -> Plan:
        """Plan of the only run."""
        (plan,) = self.plans
        return plan


@pytest.fixture
def course(monkeypatch: pytest.MonkeyPatch) -> Course:
    """Have all runs over at once."""
    made = Course()

    async def run(coordinator: Coordinator) -> None:
        await made(coordinator)

    monkeypatch.setattr(Coordinator, "run", run)
    return made


def test_a_run_is_planned_with_the_usual_values(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loadtest_plan, "usable_cores", lambda: [0, 1, 2, 3])
    result = invoke("loadtest", URL)
    assert result.exit_code == 0, result.output
    assert course.plan == Plan(urls=(URL,), dialect=Dialect(), workers=3)


def test_there_is_a_worker_even_on_one_core(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loadtest_plan, "usable_cores", lambda: [0])
    invoke("loadtest", URL)
    assert course.plan.workers == 1


def test_options_are_stronger_than_the_profile(course: Course) -> None:
    invoke("loadtest", URL, "--profile", "storm", "--clients", "5", "--warm-up", "0s", "--workers", "1")
    plan = course.plan
    assert (plan.profile, plan.act, plan.channels, plan.rate) == ("storm", Act.STORM, 20, 100.0)
    assert (plan.clients, plan.warm_up, plan.duration) == (5, 0, 20)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--churn", "10"], {"act": Act.CHURN, "churn": 10.0}),
        (["--slow", "10%"], {"act": Act.SLOW, "slow": 0.1}),
        (["--profile", "churn"], {"act": Act.CHURN, "churn": 100.0}),
        (["--profile", "slow"], {"act": Act.SLOW, "slow": 0.01}),
        (["--profile", "sweep", "--knee", "10ms"], {"sweep": True, "knee": 0.01}),
        (["--profile", "idle"], {"rate": 0.0}),
        (["--reconnect"], {"reconnect": True}),
        (["--hears", "nothing"], {"hears": Hears.NOTHING, "dialect": Dialect()}),
        (["--hears", "all"], {"dialect": Dialect(url="{url}/ws/{channel}?echo=1")}),
        (["--profile", "echo"], {"hears": Hears.ALL, "dialect": Dialect(url="{url}/ws/{channel}?echo=1")}),
        (["--hears", "all", "--url-template", "{url}/x"], {"dialect": Dialect(url="{url}/x")}),
        (
            ["--subscribe-frame", "s", "--publish-frame", "p{payload}", "--ready-frame", "r"],
            {"dialect": Dialect(subscribe=("s",), publish="p{payload}", ready="r")},
        ),
        (
            ["--answer-frame", "a => b", "--ignore-frame", "i", "--header", "N: v"],
            {"dialect": Dialect(answers=(("a", "b"),), ignore=("i",), headers=(("N", "v"),))},
        ),
        (["--duration", "2m", "--warm-up", "3s"], {"duration": 120, "warm_up": 3}),
        (["--clients", "0", "--publishers", "2"], {"clients": 0, "publishers": 2}),
        (["--namespace", "chat"], {"namespace": "chat", "resume": False}),
        (
            ["--resume"],
            {"resume": True, "over": Over.BOTH, "reconnect_every": 5.0, "reconnect": True, "hears": Hears.NOTHING},
        ),
        (["--resume", "--rate", "7", "--publishers", "2"], {"rate": 7.0, "publishers": 2}),
        (["--resume", "--over", "polls", "--reconnect-every", "0s"], {"over": Over.POLLS, "reconnect_every": 0.0}),
        (["--resume", "--profile", "rooms", "--clients", "5"], {"rate": 1000.0, "channels": 100, "clients": 5}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_become_a_plan(course: Course, arguments: list[str], expected: dict[str, object]) -> None:
    result = invoke("loadtest", URL, *arguments)
    assert result.exit_code == 0, result.output
    assert {name: getattr(course.plan, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--clients", "0", "--publishers", "0"], "--clients and --publishers are both 0"),
        (["--publishers", "0"], "--rate needs at least one of --publishers"),
        (["--duration", "0s"], "--duration: must be at least 1s"),
        (["--duration", "1.5s"], "--duration: must be whole seconds"),
        (["--warm-up", "500ms"], "--warm-up: must be whole seconds"),
        (["--publish-frame", "nothing"], "--publish-frame: must hold {payload}"),
        (["--profile", "sweep", "--rate", "0"], "a sweep begins at --rate, which must not be 0"),
        (["--profile", "slow", "--slow", "0%"], "--slow: must be more than 0"),
        (["--profile", "churn", "--churn", "0"], "--churn: must be more than 0"),
        (["--over", "events"], "--over is for clients that --resume"),
        (["--reconnect-every", "1s"], "--reconnect-every is for clients that --resume"),
        (["--resume", "--churn", "10"], "leave out --churn"),
        (["--resume", "--hears", "all"], "leave out --hears"),
        (["--resume", "--url-template", "{url}/x"], "leave out --url-template"),
        (["--resume", "--answer-frame", "a => b"], "leave out --answer-frame"),
        (["--resume", "--profile", "storm"], "leave out --profile storm"),
        (["--resume", "--profile", "sweep"], "leave out --profile sweep"),
        (["--resume", "--rate", "0"], "--clients and --rate must not be 0"),
        (["--resume", "--clients", "0"], "--clients and --rate must not be 0"),
        (["--resume", "--publishers", "0"], "--rate needs at least one of --publishers"),
        (["--namespace", "a:b"], "'a:b' must be 1 to 100 letters"),
        (["--source-address", "192.0.2.1"], "192.0.2.1"),
        (["--pid", str(2**22 + 1)], str(2**22 + 1)),
        (["--redis", "nonsense://h"], "nonsense"),
        (["--json", "no/such.json"], "there is no folder no"),
        (["--report", "no/such.html"], "there is no folder no"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_can_not_be_run_is_told_before_it_begins(course: Course, arguments: list[str], words: str) -> None:
    result = invoke("loadtest", URL, *arguments)
    assert result.exit_code == 2, result.output
    assert words in " ".join(result.stderr.replace("\n", " ").split())
    assert course.plans == []


def test_a_host_that_nobody_knows_is_told(course: Course) -> None:
    result = invoke("loadtest", "ws://no-such-host.invalid")
    assert result.exit_code == 2
    assert "ws://no-such-host.invalid: " in result.stderr


def test_a_file_that_may_not_be_written_is_told(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    result = invoke("loadtest", URL, "--json", "result.json")
    assert result.exit_code == 2
    assert "may not be written" in result.stderr


def test_a_run_that_has_passed_ends_with_0_and_says_so(course: Course) -> None:
    result = invoke("loadtest", URL)
    assert result.exit_code == 0
    assert "Passed." in result.stdout
    assert result.stderr == "report: none; --report FILE.html writes one\n"


def test_a_run_that_has_failed_ends_with_1_and_says_why(course: Course) -> None:
    def lose(run: Coordinator) -> None:
        run.state.faults = Faults(lost=3)

    course.became = lose
    result = invoke("loadtest", URL)
    assert result.exit_code == 1
    assert "Failed: 3 deliveries lost" in result.stdout


def test_an_interrupted_run_ends_with_130(course: Course) -> None:
    course.became = Coordinator.stop
    assert invoke("loadtest", URL).exit_code == 130


def test_an_error_of_the_load_test_itself_ends_with_1_in_a_line(course: Course) -> None:
    def fail(run: Coordinator) -> None:
        raise LoadWorkerError(1, "it has ended")

    course.became = fail
    result = invoke("loadtest", URL)
    assert (result.exit_code, result.stderr) == (1, "relay: worker 1 of the load test failed: it has ended\n")


def test_a_host_that_took_processors_away_is_warned_of(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Conditions, "stolen_share", lambda _self: 0.2)
    result = invoke("loadtest", URL)
    assert "Warning: the host took 20" in result.stdout


def test_the_result_is_written_for_machines_and_for_people(course: Course, tmp_path: Path) -> None:
    result = invoke("loadtest", URL, "--json", "result.json", "--report", "result.html", "--header", "A: secret")
    assert result.exit_code == 0
    assert "result: result.json\nreport: result.html\n" in result.stderr
    raw = (tmp_path / "result.json").read_bytes()
    written = msgspec.json.decode(raw, type=Result)
    assert (written.clients, written.publishers, written.profile) == (100, 1, "custom")
    assert json.loads(raw)["faults"]["lost"] == 0
    assert len(written.run) == 6
    assert written.conditions["urls"] == URL
    page = (tmp_path / "result.html").read_text()
    assert written.run in page
    assert "secret" not in raw.decode() + page
    assert "<h1>load test</h1>" in page


def test_a_result_that_can_not_be_written_after_all_ends_with_1(course: Course, tmp_path: Path) -> None:
    course.became = lambda run: (tmp_path / "result.json").mkdir()
    result = invoke("loadtest", URL, "--json", "result.json")
    assert result.exit_code == 1
    assert "Passed." in result.stdout
    assert result.stderr.startswith("relay: ")
    assert "result.json" in result.stderr


async def test_gateways_are_started_watched_and_ended() -> None:
    options = ("--gateways", "1", "--clients", "4", "--rate", "50", "--duration", "1s", "--warm-up", "0s")
    build_result = await run_load_test(*options, "--settle", "0s", "--hears", "all")
    assert build_result.code == 0, build_result.output + build_result.errors
    result = build_result.result
    assert [process.name for process in result.processes] == ["gateway 1"]
    assert (result.steps[0].delivered, result.redis) == (250, None)
    assert "gateway 1" in build_result.output
    assert result.conditions["RELAY_BROKER_URL"] == "memory://"


async def test_the_second_ctrl_c_ends_it_at_once() -> None:
    """Without a result; all processes have ended all the same."""
    options = ("--clients", "4", "--rate", "50", "--duration", "60s", "--drain", "60s")

    class Deaf(BroadcastServer):
        """Passes nothing on, so that there is something to wait for."""

        def pass_on(self, *_: object) -> None:
            pass

    async with Deaf() as server, LoadTest(server.url, *options, "--warm-up", "0s", "--settle", "0s") as load_test:
        await wait_until(lambda: server.messages > 10, within=20.0)
        load_test.interrupt()
        await load_test.heeds()
        load_test.interrupt()
        build_result = await load_test.ended(within=10.0)
    assert (build_result.code, build_result.written) == (130, None), build_result.errors
    assert "Traceback" not in build_result.errors
