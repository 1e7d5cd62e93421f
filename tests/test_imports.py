"""Who may know whom, for all modules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

import pytest

from tests.modules import PACKAGE, edges, imported, known, paths, room, tree

LAYERS = [
    ["__main__"],
    ["cli"],
    ["relay", "loadtest", "health_check"],
    ["workers", "checks", "sdk"],
    ["gateway"],
    ["authenticators", "rpc"],
    ["back_ends"],
    ["web"],
    ["clients"],
    ["control"],
    ["node", "settings"],
    ["recovery", "presence", "paused_sources"],
    ["hub", "fan_out", "brokers", "auth", "interest", "limits"],
    ["protocols"],
    ["delivery"],
    ["replay", "subscribers"],
    ["metrics", "proxies", "logs", "message", "member", "rpc_call", "namespaces"],
    ["channel", "tls", "position", "idempotency_key", "attributes", "pauses"],
    ["errors", "redaction", "system_error", "version"],
]
"""Rooms from the outside in. A module imports from its own room, and from rooms of later layers. So two rooms of one
layer don't know each other.

`relay` is the package itself: it names what programs import. `auth` stands before `protocols`, because an authenticator
gets the request that a protocol has read."""

APART = {
    "loadtest": {"errors", "redaction", "system_error", "version"},
    "health_check": set[str](),
    "sdk": {"channel", "position", "idempotency_key", "errors", "redaction", "system_error"},
}
"""Rooms that know less than their layer may, and what. The load test judges gateways, so it shares nothing with them
that touches a message; its own layers are in `tests/loadtest/test_layers.py`. The health check of containers has to be
small. A client of gateways shares the rules for names with them, and loads no server."""

KNOWN_BY = {
    "loadtest": {"cli"},
    "health_check": set[str](),
    "sdk": {"relay", "cli"},
    "settings": {"relay", "cli", "workers", "checks", "gateway", "authenticators", "rpc", "back_ends", "web"},
    "control": {"gateway", "web"},
}
"""Rooms that not all rooms of the layers before may know, and those that may. Settings end at the front door: what lies
behind it gets values."""

LATE = {
    "relay": "a back end that only publishes loads no server",
    "cli": "`relay --help` and a wrong option answer without loading a server",
    "protocols": "a gateway without clients that speak Protobuf does without its 4 MB",
}
"""Rooms whose modules import others of the package within a function, or for type checking only, and why. These imports
count as all others do."""

NAMED = {
    "relay": "public names are imported when they are first used",
    "cli": "the name of a command names the module",
    "brokers.schemes": "a URL's scheme names the module",
    "protocols": "a path or a subprotocol names the module",
    "authenticators": "RELAY_AUTH names the module",
    "authenticators.function": "RELAY_AUTH names the function",
}
"""Modules that import others by names that are data, and why. These imports are not counted."""

LIBRARIES = {
    # workers: the supervisor waits for processes, and speaks with them.
    "asyncio": {
        "authenticators",
        "back_ends",
        "node",
        "interest",
        "recovery",
        "presence",
        "paused_sources",
        "pauses",
        "control",
        "gateway",
        "clients",
        "fan_out",
        "brokers",
        "metrics",
        "web",
        "loadtest",
        "workers",
        "cli",
        "sdk",
    },
    "websockets": {"gateway", "clients"},
    "redis": {"brokers", "loadtest"},
    "hiredis": {"brokers"},
    "google": {"protocols"},
    "aiohttp": {"back_ends", "gateway", "web", "cli", "sdk"},
}
"""Libraries, and the rooms that may know them: the event loop, WebSockets, Redis and HTTP are known at the rim only;
and `google` is Protobuf."""

CONVERTS_ONLY = {("proxies.proxy_header", "socket")}
"""What pure modules import of a library that does I/O: here, how an address is written."""

PURE = {
    "checks",
    "hub",
    "protocols",
    "auth",
    "limits",
    "proxies",
    "replay",
    "delivery",
    "subscribers",
    "message",
    "member",
    "rpc_call",
    "channel",
    "position",
    "idempotency_key",
    "namespaces",
    "errors",
    "redaction",
}
"""Rooms that do no I/O and know no clock: not even by the standard library."""

PURE_MODULES = {
    "presence.channel_presence",
    "presence.deadlines",
    "presence.waiting",
    "recovery.recent_messages",
    "recovery.former_epoch",
    "recovery.live_buffer",
    "recovery.sequence_owner",
    "recovery.reading",
    "recovery.ring",
    "recovery.sequence",
}
"""Modules of other rooms that are pure, too."""


def test_every_module_is_in_a_layer() -> None:
    """And there is nothing in the tables that is no longer there."""
    rooms = [name for layer in LAYERS for name in layer]
    assert sorted(rooms) == sorted({room(name) for name in paths()})
    for table in (APART, KNOWN_BY, LATE):
        assert set(table) <= set(rooms)
    assert set(NAMED) <= set(paths())
    assert set(paths()) >= PURE_MODULES
    assert {name for rooms_of_it in LIBRARIES.values() for name in rooms_of_it} | PURE <= set(rooms)


def test_what_is_imported_exists() -> None:
    """So nothing slips through the tests below by a name that they don't know."""
    missing = [f"{name} imports {other}" for name in paths() for other in known(name) if other not in paths()]
    assert missing == []


def test_layers_import_inwards_only() -> None:
    place = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    wrong = [f"{name} imports {other}" for name, other in edges() if place[room(other)] <= place[room(name)]]
    assert wrong == []


def test_no_imports_form_a_circle() -> None:
    try:
        TopologicalSorter({name: known(name) for name in paths()}).prepare()
    except CycleError as error:
        pytest.fail(f"circle: {' imports '.join(reversed(error.args[1]))}")


def test_rooms_that_are_apart_stay_apart() -> None:
    for apart, allowed in APART.items():
        assert {room(other) for name, other in edges() if room(name) == apart} <= allowed
    for inner, allowed in KNOWN_BY.items():
        assert {room(name) for name, other in edges() if room(other) == inner} <= allowed, inner


def test_protocols_brokers_and_auth_know_no_client_and_no_gateway() -> None:
    """A new protocol or broker is one new file, and a line that names it: it needs nothing else of the house."""
    rim = {"hub", "node", "control", "clients", "web", "gateway", "workers", "cli"}
    wrong = [
        f"{name} imports {other}"
        for name, other in edges()
        if room(name) in {"protocols", "brokers", "auth"} and room(other) in rim
    ]
    assert wrong == []


@pytest.mark.parametrize("kind", ["brokers", "protocols"])
def test_implementations_of_a_contract_do_not_know_each_other(kind: str) -> None:
    """They share the contract, and modules beside it that are named here."""
    implementations = {"brokers": {"memory", "redis"}, "protocols": {"plain", "sse", "poll"}}[kind]
    for name in paths():
        part = name.split(".")[1:2]
        if room(name) == kind and part and part[0] in implementations:
            others = {other.split(".")[1] for other in known(name) if room(other) == kind and "." in other}
            assert others & implementations <= {part[0]}, name
            continue
        if room(name) == kind:  # nor does the contract know them
            others = {other.split(".")[1] for other in known(name) if room(other) == kind and "." in other}
            assert not others & implementations, name


@pytest.mark.parametrize("library", LIBRARIES)
def test_libraries_stay_in_their_rooms(library: str) -> None:
    users = {room(name) for name in paths() if library in {other.split(".")[0] for other in imported(name)}}
    assert users == LIBRARIES[library]


def test_pure_rooms_do_no_io() -> None:
    """Protocols, hub and the like can be tested without sockets, event loop and clock."""
    impure = {"asyncio", "socket", "ssl", "select", "threading", "subprocess", "time", "os", "websockets", "aiohttp"}
    wrong = [
        f"{name} imports {other}"
        for name in paths()
        if room(name) in PURE or name in PURE_MODULES
        for other in imported(name)
        if other.split(".")[0] in impure and (name, other) not in CONVERTS_ONLY
    ]
    assert wrong == []


def late_imports(name: str) -> Iterator[str]:
    """Go through the modules of the package that a module imports when it runs, or for type checking only."""
    for outer in ast.walk(tree(name)):
        checking = isinstance(outer, ast.If) and "TYPE_CHECKING" in ast.unparse(outer.test)
        if checking or isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(outer):
                if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("relay."):
                    yield str(node.module)
                elif isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names if f"{alias.name}.".startswith("relay."))


def test_late_imports_have_a_reason() -> None:
    """A circle can't be cut by one: they count like all others."""
    assert {room(name) for name in paths() if any(late_imports(name))} == set(LATE)


def test_imports_by_name_have_a_reason() -> None:
    found = {
        name
        for name in paths()
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__")
    }
    assert found == set(NAMED)


def test_the_table_and_the_test_see_the_same_house() -> None:
    """A renamed room must not empty the tests above, and the layers are in the order of docs/architecture.md."""
    assert {"gateway.gateway", "clients.session", "protocols.plain", "web.api.endpoint", "relay"} <= set(paths())
    assert "clients.session" in known("clients.registry")
    assert "protocols.request" in known("protocols.plain")
    assert ("auth.authenticator", "protocols.request") in set(edges())
    place = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text()
    picture = next(block for block in page.split("```\n") if block.startswith("cli →"))
    drawn = [layer.strip().split(" | ") for layer in picture.replace("\n", " ").split("→")]
    assert {name for layer in drawn for name in layer} == set(place) - {"__main__", "relay", "loadtest", "health_check"}
    for outer, inner in pairwise(drawn):
        assert max(place[name] for name in outer) < min(place[name] for name in inner), (outer, inner)
