"""The examples of docs/guide.md, started as the page says and used in a browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.docs.relay_of_site import RelayOfSite
from tests.docs.site import PROGRAMS, Site, commands
from tests.harness.browser import Browser, View
from tests.harness.redis_server import RedisServer

expect.set_options(timeout=60_000)

PASSWORD = "correct horse"


@pytest.fixture
def site(own_redis: RedisServer) -> Site:
    """Where the example of a test is."""
    return Site(own_redis)


def test_the_first_page(browser: Browser, site: Site) -> None:
    """It hears what curl says, and is back when the relay is."""
    (started,) = re.findall(r"^(RELAY_BROKER_URL=.*) relay serve$", commands("8080 relay serve"), re.MULTILINE)
    variables = dict(pair.split("=", 1) for pair in site.here(started).split())
    with (
        RelayOfSite(site, variables) as relay,
        site.application("hello", "uvicorn app:app --port 8080", {}),
        browser.visiting(site.url) as view,
    ):
        state, said = view.page.locator("#state"), view.page.locator("#said li")
        expect(state).to_have_text("open")
        site.do(commands("curl -X POST"))
        expect(said).to_have_text(["hello"])
        relay.stop()
        expect(state).to_have_text("waiting")
        relay.start()
        expect(state).to_have_text("open")
        site.do(commands("curl -X POST"))
        expect(said).to_have_text(["hello", "hello"])


def test_a_gateway_inside_the_application(browser: Browser) -> None:
    site = Site(None)
    with site.application("embedded", "uvicorn app:app --port 8080", {}), browser.visiting(site.url) as view:
        expect(view.page.locator("#state")).to_have_text("open")
        site.do(commands("curl -X POST"))
        expect(view.page.locator("#said li")).to_have_text(["hello"])


LOAD = '"GET /tasks HTTP'
"""How a page loads the state, in the log of uvicorn."""


class TaskList:
    """The page of the tasks, as a user has it.

    Args:
        view: of the browser.
        name: to log in with.
    """

    def __init__(self, view: View, name: str) -> None:
        self.page = view.page
        self.page.get_by_placeholder("Your name").fill(name)
        self.page.get_by_role("button", name="Log in").click()
        self.is_("open")

    @property
    def tasks(self) -> Locator:
        """Those that it shows."""
        return self.page.locator("#tasks li")

    def is_(self, state: str) -> None:
        """Wait for a state of its connection."""
        expect(self.page.locator("#state")).to_have_text(state)

    def add(self, text: str) -> None:
        """Add a task."""
        self.page.get_by_placeholder("A new task").fill(text)
        self.page.get_by_role("button", name="Add").click()


def test_the_list_of_tasks(browser: Browser, site: Site, own_redis: RedisServer) -> None:
    variables = site.variables()
    with (
        RelayOfSite(site, variables) as relay,
        site.application("tasks", "uvicorn app:app --port 8080", variables) as application,
        browser.visiting(site.url) as one,
        browser.visiting(site.url) as two,
    ):
        ann, bob = TaskList(one, "ann"), TaskList(two, "bob")
        expect(bob.page.locator("#people")).to_have_text("Here: ann, bob")

        ann.add("buy tea")
        expect(bob.tasks).to_have_text(["buy tea (ann)"])
        expect(bob.page.locator("#typing")).to_have_text("ann is typing ...")
        bob.add("<b>water</b> the plants")
        expect(ann.tasks).to_have_text(["buy tea (ann)", "<b>water</b> the plants (bob)"])
        bob.page.get_by_label("buy tea").check()
        expect(ann.page.get_by_label("buy tea")).to_be_checked()

        # The time of a token is over: each page comes back with another one.
        loads = application.output.count(LOAD)
        relay.ask("refresh", {"user": "ann", "expired": True})
        ann.is_("waiting")
        ann.is_("open")
        # What the relay was not there to send comes later.
        relay.stop()
        bob.is_("waiting")
        bob.add("read a book")
        relay.start()
        expect(ann.tasks).to_have_count(3)
        expect(bob.tasks).to_have_count(3)
        assert application.output.count(LOAD) == loads

        # What it can't send any more is loaded.
        relay.stop()
        bob.add("sleep")
        own_redis.admin.flushall()
        bob.page.reload()
        expect(bob.tasks).to_have_count(4)
        relay.start()
        bob.is_("open")
        expect(ann.tasks).to_have_count(4)
        ann.is_("open")
        assert application.output.count(LOAD) > loads
        ann.add("dream")
        expect(bob.tasks).to_have_count(5)


ROLLED_BACK = """
from django.contrib.auth.models import User
from django.db import transaction
from shop.models import Order
try:
    with transaction.atomic():
        Order.objects.create(customer=User.objects.get(), item="never")
        1 / 0
except ZeroDivisionError:
    Order.objects.create(customer=User.objects.get(), item="cake")
"""
"""What a program beside the servers does."""


def test_the_shop(browser: Browser, site: Site) -> None:
    variables = {
        **site.variables(),
        "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        "GUNICORN_CMD_ARGS": "--no-control-socket",  # which would be one for all tests of a machine
    }
    manage = [f"{PROGRAMS}/python", "shop/manage.py"]
    user = ["createsuperuser", "--noinput", "--username", "ann", "--email", "ann@example.com"]
    start = "gunicorn shop.wsgi --workers 2 --preload --bind localhost:8080"
    with (
        RelayOfSite(site, variables) as relay,
        site.application("shop", start, variables, [[*manage, "migrate", "--run-syncdb"], [*manage, *user]]) as shop,
        browser.visiting(site.url) as view,
    ):
        customer = view.page
        customer.get_by_label("Username").fill("ann")
        customer.get_by_label("Password").fill(PASSWORD)
        customer.get_by_role("button", name="Log in").click()
        shown = customer.locator("#orders li")
        expect(customer.get_by_role("heading", name="Your orders")).to_be_visible()

        admin = customer.context.new_page()
        admin.goto(f"{site.url}admin/shop/order/add/")
        admin.get_by_label("Customer").select_option("ann")
        admin.get_by_role("textbox", name="Item").fill("tea")
        admin.get_by_role("button", name="Save and continue editing").click()
        expect(shown).to_have_text(["tea: ordered"])
        change(admin, "sent")
        expect(shown).to_have_text(["tea: sent"])

        shop.run([*manage, "test", "shop"])
        shop.run([*manage, "shell", "-c", ROLLED_BACK])
        expect(shown).to_have_text(["tea: sent", "cake: ordered"])

        # Nothing is kept, so the page loads what it has missed.
        relay.stop()
        change(admin, "delivered")
        late = customer.context.new_page()
        late.goto(site.url)
        expect(late.locator("#orders li")).to_have_text(["tea: delivered", "cake: ordered"])
        relay.start()
        expect(shown).to_have_text(["tea: delivered", "cake: ordered"])


def change(admin: Page, status: str) -> None:
    """Change the order that the admin shows."""
    admin.get_by_role("textbox", name="Status").fill(status)
    admin.get_by_role("button", name="Save and continue editing").click()
    expect(admin.get_by_text("was changed successfully")).to_be_visible()
    expect(admin.get_by_role("textbox", name="Status")).to_have_value(status)


def test_the_reports(browser: Browser, site: Site) -> None:
    variables = site.variables()
    with (
        RelayOfSite(site, variables),
        site.application("reports", "celery --app worker worker --loglevel info", variables, sign="ready."),
        site.application("reports", "flask run --port 8080", variables),
        browser.visiting(site.url) as view,
    ):
        view.page.get_by_role("button", name="Make a report").click()
        expect(view.page.locator("#progress")).to_have_js_property("max", 20)
        expect(view.page.locator("#outcome")).to_have_text("The report has 20 rows.")
