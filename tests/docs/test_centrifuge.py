"""The tables and the examples of docs/centrifuge.md."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from relay.brokers.history import MAX_PAGE
from relay.clients.connecting import CONNECT_SECONDS, RENEWAL_SECONDS
from relay.errors import comes_back
from relay.namespaces import ChannelOptions
from relay.protocols.centrifuge import codes
from relay.protocols.centrifuge.command_order import MOST_LARGE, MOST_UNDER_WAY
from relay.protocols.centrifuge.pushes import Disconnect, Unsubscribe
from relay.protocols.centrifuge.results import Error
from relay.settings import Settings
from relay.version import __version__
from relay.web.api.methods import METHODS
from tests.centrifuge.oracle.differences import DIFFERENCES
from tests.centrifuge.sdk.sdks import NotHere, javascript
from tests.conftest import GatewayFactory
from tests.docs.pages import ROOT, code_blocks, table_below, text_of
from tests.docs.test_auth import needs_node, run
from tests.harness.browser import Browser, find_chromium
from tests.harness.gateway_process import GatewayProcess, end
from tests.harness.http_response import send_request
from tests.harness.server_api import request

PAGE = "docs/centrifuge.md"

Code = Error | Unsubscribe | Disconnect

PACKAGE = ROOT / "relay/protocols/centrifuge"
TABLES: dict[type[Code], str] = {
    Error: "| error |",
    Unsubscribe: "| end of a subscription |",
    Disconnect: "| end of a connection |",
}
BEGIN = "<!-- differences: begin (tests/docs/test_centrifuge.py keeps this list true) -->\n"
END = "<!-- differences: end -->"


@pytest.fixture(scope="module")
def packages() -> Path:
    """The folder with the SDK for JavaScript, as npm has installed it."""
    try:
        return javascript() / "node_modules"
    except NotHere as why:
        pytest.skip(str(why))


def example(language: str, words: str) -> str:
    """Return the one example of a language in which some words stand."""
    (found,) = (code for code in code_blocks(PAGE, language) if words in code)
    return found


def names_of(kind: type[Code]) -> dict[str, Code]:
    """Return the constants of one kind in the tables of codes, by name."""
    return {name: value for name, value in vars(codes).items() if isinstance(value, kind)}


@pytest.mark.parametrize(("kind", "heading"), TABLES.items(), ids=lambda given: str(given).strip("| "))
def test_the_tables_of_codes_are_those_of_the_relay(kind: type[Code], heading: str) -> None:
    """And `never` stands where there is no such constant: the relay doesn't send that code."""
    rows = {int(row[0]): row for row in table_below(PAGE, heading)}
    assert list(rows) == sorted(rows)
    sent = {code: text for code, (_, text, when, _) in rows.items() if not when.startswith("never")}
    assert sent == {
        value.code: value.message if isinstance(value, Error) else value.reason for value in names_of(kind).values()
    }


def test_the_tables_of_codes_say_who_comes_back() -> None:
    for code, _, _, client in table_below(PAGE, TABLES[Disconnect]):
        if client:
            assert client.startswith("comes back") is comes_back(int(code))
    for code, _, when, client in table_below(PAGE, TABLES[Unsubscribe]):
        if not when.startswith("never"):
            assert ("subscribes again" in client) is (int(code) >= 2500)
    for code, _, when, client in table_below(PAGE, TABLES[Error]):
        if not when.startswith("never"):
            error = next(value for value in names_of(Error).values() if value.code == int(code))
            assert isinstance(error, Error)
            assert (client == "tries again") is error.temporary


def test_the_list_of_differences_is_the_one_that_answers_are_judged_by() -> None:
    """Mend it with one line for each reason: a star, and the reason."""
    written = text_of(PAGE).partition(BEGIN)[2].partition(END)[0]
    assert written.splitlines() == list(dict.fromkeys(f"* {one.reason}" for one in DIFFERENCES))


def test_the_numbers_are_those_of_the_relay() -> None:
    page = text_of(PAGE)
    assert f"has {RENEWAL_SECONDS:g} seconds to renew" in page
    assert f"up to {MOST_UNDER_WAY} questions, {('none', 'one', 'two')[MOST_LARGE]} of them for a history" in page
    assert f"at most {MAX_PAGE}" in page
    assert f"| until a client has said who it is | {CONNECT_SECONDS:g} s |" in page


def test_the_options_and_methods_that_are_named_exist() -> None:
    """Those of Centrifugo stand in the first column."""
    named = {name for row in table_below(PAGE, "| Centrifugo's option |") for name in re.findall("`([a-z_]+)`", row[1])}
    assert named - {"r", "w", "p", "h"} <= set(ChannelOptions.__struct_fields__)
    methods = table_below(PAGE, "| method of the API |")[:-1]
    # `subscribe` comes with the methods that tell gateways of it.
    assert {name for row in methods for name in re.findall("`([a-z_]+)`", row[0])} <= {*METHODS, "batch", "subscribe"}


def test_the_lines_about_namespaces_are_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    output = run(example("sh", "RELAY_NAMESPACES"), {})
    assert re.search(r"chat +.*100", output)
    lines = run(
        f'set -a\n{example("sh", "RELAY_NAMESPACES").replace("relay config", "")}\necho "$RELAY_NAMESPACES"', {}
    )
    monkeypatch.setenv("RELAY_NAMESPACES", lines)
    assert Settings().namespaces is not None


def test_the_command_makes_both_kinds_of_tokens() -> None:
    output = run(example("sh", "--subscription board:1"), {})
    assert output.count("accepted") == 2
    assert "chat:1: may subscribe, may publish" in output


async def test_what_is_said_is_what_is_answered(gateways: GatewayFactory) -> None:
    """Of each command of the transcript; ids, epochs and the version are masked. The order of fields means nothing."""
    namespaces = '{"chat": {"history_size": 100, "presence": true, "join_leave": true}}'
    (gateway,) = await gateways(1, namespaces=namespaces, ping_interval=25)
    epoch, (transcript,) = "", code_blocks(PAGE, "text")
    steps = [(line[0], line[2:]) for line in transcript.splitlines()]
    expected = [line for side, line in steps if side == "<"]
    heard: list[str] = []
    async with connect(f"{gateway.url}/connection/websocket", proxy=None) as socket:
        for number, (side, line) in enumerate(steps):
            if side == ">":
                await socket.send(line.replace("EPOCH", epoch))
                answers = [side for side, _ in steps[number + 1 :]]
                wanted = answers.index(">") if ">" in answers else len(answers)
                while len(heard) < sum(side == "<" for side, _ in steps[: number + 1 + wanted]):
                    heard += str(await asyncio.wait_for(socket.recv(), 60)).split("\n")
                epoch = epoch or "".join(re.findall(r'"epoch":"(.+?)"', "".join(heard))[:1])
    told, promised = ([json.loads(_masked(line)) for line in lines] for lines in (heard, expected))
    # The own message may come before the reply.
    assert sorted(told, key=_is_push) == sorted(promised, key=_is_push)


def _is_push(line: dict[str, object]) -> bool:
    return "push" in line


def _masked(line: str) -> str:
    line = re.sub(r'"client":"[0-9a-f]{32}"', '"client":"CLIENT"', line)
    return re.sub(r'"epoch":".+?"', '"epoch":"EPOCH"', line).replace(f"relay {__version__}", "relay VERSION")


async def test_the_example_in_python_hears_itself(gateways: GatewayFactory) -> None:
    """And what curl publishes reaches it."""
    (gateway,) = await gateways(1)
    code = example("python", "centrifuge").replace("localhost:8000", f"127.0.0.1:{gateway.port}")
    done = await asyncio.to_thread(_output, sys.executable, "-c", code)
    assert done == "{'text': 'hello'}\n"


async def test_what_is_published_over_http_reaches_a_centrifuge_client(gateways: GatewayFactory) -> None:
    (gateway,) = await gateways(1)
    async with connect(f"{gateway.url}/connection/websocket", proxy=None) as socket:
        await socket.send('{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"lobby"}}')
        answers = ""
        while '"id":2' not in answers:
            answers += str(await socket.recv())
        (body,) = re.findall(r"curl -d '(.+?)'", text_of(PAGE))
        text = "Content-Type: application/x-www-form-urlencoded"
        await send_request(gateway.port, request("/publish/lobby", body.encode(), text))
        assert json.loads(await socket.recv()) == {"push": {"channel": "lobby", "pub": {"data": json.loads(body)}}}


async def test_a_key_is_the_token(gateways: GatewayFactory) -> None:
    key = "a-key-of-many-letters"
    (gateway,) = await gateways(1, auth="key", auth_keys=f"{key};user=ann;lobby=r")
    for token, told in ((key, '{"id":2,"subscribe":{}}'), ("another-key-of-letters", "3500 invalid token")):
        async with connect(f"{gateway.url}/connection/websocket", proxy=None) as socket:
            connecting = json.dumps({"id": 1, "connect": {"token": token}})
            await socket.send(f'{connecting}\n{{"id":2,"subscribe":{{"channel":"lobby"}}}}')
            heard = ""
            try:
                while told not in heard:
                    heard += str(await asyncio.wait_for(socket.recv(), 60))
            except ConnectionClosed:
                assert f"{socket.close_code} {socket.close_reason}" == told


async def test_the_example_in_javascript_hears_itself(gateways: GatewayFactory, packages: Path, tmp_path: Path) -> None:
    """Under a Node that has no WebSocket of its own, too."""
    (gateway,) = await gateways(1)
    code = example("js", "lobby.publish").replace("localhost:8000", f"127.0.0.1:{gateway.port}")
    shown = "console.log(data.text)"
    file = script(packages, tmp_path, code.replace(shown, f"({shown}, client.disconnect())"))
    assert await asyncio.to_thread(_output, "node", str(file)) == "hello\n"


async def test_where_websockets_do_not_get_through_the_next_transport_is_taken(
    gateways: GatewayFactory, packages: Path, tmp_path: Path
) -> None:
    """As the example names them."""
    (gateway,) = await gateways(1)
    here = f"//127.0.0.1:{gateway.port}"
    code = example("js", "emulationEndpoint").replace("//relay.example.com", here)
    code = code.replace("https:", "http:").replace(f"wss:{here}/connection/websocket", f"ws:{here}/connection/nothing")
    told = 'client.on("connected", ({ transport }) => (console.log(transport), client.disconnect()));\n'
    file = script(packages, tmp_path, code.replace("client.connect()", f"{told}client.connect()"))
    assert await asyncio.to_thread(_output, "node", str(file)) == "http_stream\n"


@needs_node
@pytest.mark.parametrize("number", range(len(code_blocks(PAGE, "js"))))
def test_scripts_can_be_parsed(number: int, tmp_path: Path) -> None:
    file = tmp_path / "example.mjs"
    file.write_text(code_blocks(PAGE, "js")[number])
    subprocess.run(["node", "--check", file], check=True)


def test_the_page_without_a_bundler_works(packages: Path) -> None:
    """In a browser, with the SDK's own file beside it."""
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium here: sh tests/install.sh chromium")
    with served() as gateway, Browser(program) as browser, browser.visiting(f"{gateway}/healthz") as view:
        view.page.add_script_tag(path=str(packages / "centrifuge/dist/centrifuge.js"))
        (code,) = re.findall(r"<script>\n(.+?)</script>", example("html", "centrifuge.js"), re.DOTALL)
        said = 'lobby.on("subscribed", () => lobby.publish({ text: "hello" }));\n'
        code = code.replace("ws://localhost:8000", gateway.replace("http", "ws")).replace(
            "lobby.subscribe()", f"{said}lobby.subscribe()"
        )
        view.page.add_script_tag(content=code)
        view.page.get_by_text("hello").wait_for(timeout=60_000)


@contextmanager
def served() -> Iterator[str]:
    """Run a gateway; yield its address."""
    gateway = GatewayProcess()
    try:
        gateway.start_blocking()
        yield f"http://127.0.0.1:{gateway.port}"
    finally:
        end([gateway])


def script(packages: Path, folder: Path, code: str) -> Path:
    """Return a file with a script that finds the SDK, and a WebSocket where Node has none."""
    (folder / "node_modules").symlink_to(packages)
    (folder / "websocket.mjs").write_text('import WebSocket from "ws";\nglobalThis.WebSocket ??= WebSocket;\n')
    file = folder / "example.mjs"
    file.write_text(f'import "./websocket.mjs";\n{code}')
    return file


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
