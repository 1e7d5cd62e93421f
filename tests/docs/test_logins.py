"""The log-ins of docs/auth.md, as they stand there: log in, get a token, be a client of the relay with it."""

from __future__ import annotations

import re
import secrets
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientResponse, ClientSession, DummyCookieJar
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from tests.conftest import GatewayFactory
from tests.docs.application import Application
from tests.docs.pages import code_blocks
from tests.harness.gateway_process import GatewayProcess
from tests.harness.proxy_process import ProxyProcess

PAGE = "docs/auth.md"
SECRET = secrets.token_urlsafe(48)
PASSWORD = "correct horse"
STAND_IN = Path(__file__).parent / "stand_in"

NODE = shutil.which("node")

(STARTED,) = (code for code in code_blocks(PAGE, "sh") if "RELAY_ALLOWED_ORIGINS=http:" in code)
SETTINGS = {name.lower(): value for name, value in re.findall(r"\bRELAY_([A-Z_]+)=(\S+)(?= .*relay serve)", STARTED)}
"""With which the page starts the relay beside a log-in."""

SITE = SETTINGS["allowed_origins"]


def example(language: str, file: str) -> str:
    """Return the example that is a file of its own."""
    (found,) = (code for code in code_blocks(PAGE, language) if re.match(rf"(#|//) {re.escape(file)}\n", code))
    return found


def fastapi(more: str = "") -> Application:
    """Return the log-in with FastAPI, perhaps with more code."""
    command = [sys.executable, "-m", "uvicorn", "fastapi_login:app", "--port", "{port}"]
    code = example("python", "fastapi_login.py") + more
    return Application({"fastapi_login.py": code}, command, {"RELAY_JWT_SECRET": SECRET})


def django() -> Application:
    """Return the log-in with Django, with a user."""
    manage = [sys.executable, "django_login.py"]
    add_user = ["createsuperuser", "--noinput", "--username", "ann", "--email", "ann@example.com"]
    variables = {
        "RELAY_JWT_SECRET": SECRET,
        "DJANGO_SECRET_KEY": SECRET,
        "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
    }
    return Application(
        {"django_login.py": example("python", "django_login.py")},
        [*manage, "runserver", "--noreload", "{port}"],
        variables,
        [[*manage, "migrate"], [*manage, *add_user]],
    )


def express() -> Application:
    """Return the log-in with Express: Debian's, or else what stands in for it."""
    if NODE is None:
        pytest.skip("no node here: sh tests/install.sh node")
    variables = {"RELAY_JWT_SECRET": SECRET, "PORT": "{port}", "NODE_PATH": f"/usr/share/nodejs:{STAND_IN}"}
    return Application({"express_login.js": example("js", "express_login.js")}, [NODE, "express_login.js"], variables)


class Browser:
    """Keeps cookies as a browser does that takes `localhost` for safe."""

    def __init__(self, session: ClientSession, port: int) -> None:
        self._session = session
        self._site = f"http://127.0.0.1:{port}"
        self.cookies: dict[str, str] = {}

    @property
    def cookie(self) -> str:
        """The header."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    async def get(self, path: str) -> ClientResponse:
        """Send a GET."""
        return await self._keep(await self._session.get(self._site + path, headers={"Cookie": self.cookie}))

    async def post(self, path: str, fields: Mapping[str, str], form: bool = False) -> ClientResponse:
        """Send fields as JSON, or as a form."""
        body = {"data": fields} if form else {"json": fields}
        headers = {"Cookie": self.cookie}
        response = await self._session.post(self._site + path, headers=headers, allow_redirects=False, **body)  # type: ignore[arg-type]  # one of the two
        return await self._keep(response)

    async def _keep(self, response: ClientResponse) -> ClientResponse:
        await response.read()
        self.cookies |= {name: morsel.value for name, morsel in response.cookies.items()}
        return response


async def log_in_by_json(browser: Browser, password: str) -> bool:
    """Log in as the page of FastAPI's and Express' example would."""
    response = await browser.post("/login", {"user": "ann", "password": password})
    assert response.status in (204, 401)
    return response.status == 204


async def log_in_by_form(browser: Browser, password: str) -> bool:
    """Log in as Django's own form does."""
    form = await (await browser.get("/login")).text()
    (token,) = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
    fields = {"username": "ann", "password": password, "csrfmiddlewaretoken": token}
    response = await browser.post("/login", fields, form=True)
    assert response.status in (200, 302)
    return response.status == 302


@pytest_asyncio.fixture
async def session() -> AsyncIterator[ClientSession]:
    async with ClientSession(cookie_jar=DummyCookieJar()) as session:
        yield session


@pytest_asyncio.fixture
async def gateway(gateways: GatewayFactory) -> GatewayProcess:
    (gateway,) = await gateways(1, jwt_secret=SECRET, trusted_proxies="127.0.0.1", **SETTINGS)
    return gateway


def client(base: str, path: str, token: str, origin: str = SITE) -> connect:
    """Connect as the script of the page does."""
    offered = [Subprotocol("relay"), Subprotocol(f"bearer.{token}")]
    return connect(f"{base}{path}", subprotocols=offered, origin=Origin(origin), proxy=None)


async def status_of(connecting: connect) -> int:
    """Return the status with which a handshake is answered."""
    try:
        async with connecting:
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


async def closed(socket: ClientConnection) -> tuple[int, str]:
    """Wait for the end of a connection, and return its close code and reason."""
    with pytest.raises(ConnectionClosed) as ended:
        await socket.recv()
    assert ended.value.rcvd is not None
    return ended.value.rcvd.code, ended.value.rcvd.reason


@pytest.mark.parametrize(
    ("make", "log_in"),
    [(fastapi, log_in_by_json), (django, log_in_by_form), (express, log_in_by_json)],
    ids=["FastAPI", "Django", "Express"],
)
async def test_a_user_who_has_logged_in_is_a_client_with_rights(
    gateway: GatewayProcess,
    session: ClientSession,
    make: Callable[[], Application],
    log_in: Callable[[Browser, str], Awaitable[bool]],
) -> None:
    with make() as application:
        browser = Browser(session, application.port)
        assert (await browser.get("/relay-token")).status == 401
        assert not await log_in(browser, "wrong")
        assert (await browser.get("/relay-token")).status == 401
        assert await log_in(browser, PASSWORD)
        response = await browser.get("/relay-token")
        token = (await response.json())["token"]
        assert "no-store" in response.headers["Cache-Control"]
    url = gateway.url
    async with client(url, "/ws/chat:1", token) as one, client(url, "/ws/chat:1", token) as other:
        assert one.subprotocol == "relay"
        await one.send("hello")
        assert await other.recv() == "hello"
    async with client(url, "/ws/news", token) as news:
        await news.send("hello")
        assert await closed(news) == (1008, "not allowed")
    assert await status_of(client(url, "/ws/user:ann", token)) == 101
    assert await status_of(client(url, "/ws/user:bob", token)) == 403
    assert await status_of(client(url, "/ws/chat:1", token[:-2])) == 401
    assert await status_of(client(url, "/ws/chat:1", token, "https://elsewhere.example")) == 403
    assert await status_of(connect(f"{url}/ws/chat:1", proxy=None)) == 401
    assert token not in gateway.output


class AskingNginx(ProxyProcess):
    """nginx with the page's configuration.

    Args:
        application: port of the back end.
        gateway: port of the relay.
    """

    def __init__(self, application: int, gateway: int) -> None:
        super().__init__("nginx")
        self._ports = {"127.0.0.1:8080": f"127.0.0.1:{application}", "127.0.0.1:8000": f"127.0.0.1:{gateway}"}

    @property
    def access_log(self) -> str:
        """What it has logged of requests."""
        return (self.folder / "logs/access.log").read_text()

    def command(self, config: Path) -> list[str]:
        """See `ProxyProcess`."""
        (self.folder / "logs").mkdir()
        return ["-p", str(self.folder), "-c", str(config), "-e", "stderr", "-g", "daemon off;"]

    def configuration(self) -> str:
        """See `ProxyProcess`."""
        log, server = code_blocks(PAGE, "nginx")
        assert "server {" in server
        for written, used in {"listen 80;": f"listen 127.0.0.1:{self.port};", **self._ports}.items():
            assert written in server
            server = server.replace(written, used)
        paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        temporary = "\n".join(f"{path}_temp_path {self.folder}/{path};" for path in paths)
        return f"""
            worker_processes 1;
            pid {self.folder}/pid;
            error_log stderr warn;
            events {{ worker_connections 512; }}
            http {{ {temporary} {log} {server} }}
        """


async def test_nginx_asks_the_back_end_and_passes_its_token_on(
    gateways: GatewayFactory, session: ClientSession
) -> None:
    """All behind one name: the log-in, the page, and the relay, which is told nothing of origins."""
    (gateway,) = await gateways(1, auth="jwt", jwt_secret=SECRET, trusted_proxies="127.0.0.1")
    (more,) = (code for code in code_blocks(PAGE, "python") if code.startswith("# more of fastapi_login.py"))
    with ExitStack() as stack:
        application = stack.enter_context(fastapi(f"\n\n{more}"))
        nginx = stack.enter_context(AskingNginx(application.port, gateway.port))
        browser = Browser(session, nginx.port)
        url, own = f"ws://127.0.0.1:{nginx.port}", f"http://127.0.0.1:{nginx.port}"

        def page(path: str, origin: str = own) -> connect:
            headers = {"Cookie": browser.cookie}
            return connect(f"{url}{path}", additional_headers=headers, origin=Origin(origin), proxy=None)

        assert await status_of(page("/ws/chat:1")) == 401
        assert (await browser.get("/relay-auth")).status == 404
        assert await log_in_by_json(browser, PASSWORD)
        async with page("/ws/chat:1") as one, page("/ws/chat:1?hidden=1") as other:
            await one.send("hello")
            assert await other.recv() == "hello"
            published = await browser.post("/publish/chat:1", {"text": "hi"})
            assert published.status == 200
            assert await other.recv() == '{"text": "hi"}'
        assert await status_of(page("/ws/user:bob")) == 403
        assert await status_of(page("/ws/chat:1", "https://elsewhere.example")) == 403
        assert (await browser.post("/publish/news", {})).status == 403
        browser.cookies["session"] = "made-up"
        assert await status_of(page("/ws/chat:1")) == 401
        assert "GET /ws/chat:1 HTTP/1.1" in nginx.access_log
        assert "hidden" not in nginx.access_log
    assert "made-up" not in gateway.output
