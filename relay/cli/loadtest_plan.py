"""The plan of `relay loadtest`, from its options."""

from __future__ import annotations

from typing import Any, Final

import click

from relay.cli.client_token import token_headers
from relay.loadtest.plan.plan import Act, Dialect, Hears, Over, Plan, Trust
from relay.loadtest.plan.profiles import PROFILES
from relay.loadtest.result.result import NO_PROFILE
from relay.loadtest.run.machine import usable_cores
from relay.sdk.gateway_address import AddressError, GatewayAddress

_RESUMING: Final = {"rate": 20.0, "publishers": 4, "reconnect": True}
"""What is different by default when clients resume: a message costs each polling client a request, and each publisher
waits for an answer before it sends another one."""

_DIALECT: Final = ("url_template", "subscribe_frame", "publish_frame", "ready_frame", "answer_frame")
_NOT_RESUMING: Final = (*_DIALECT, "hears", "churn", "slow", "knee")
_RESUMING_ONLY: Final = ("over", "reconnect_every")


def plan_from(urls: tuple[str, ...], options: dict[str, Any]) -> Plan:
    """Return the plan: that of the profile, overridden by the options that were given.

    Args:
        urls: URLs of the servers; empty: gateways are started later.
        options: those of the plan; None or empty for each that was not given.

    Raises:
        click.UsageError: they make no plan that can be run.
    """
    resume = bool(options["resume"])
    _check_resuming(resume, options)
    profile = options.pop("profile")
    values: dict[str, Any] = {"workers": max(1, len(usable_cores()) - 1)}
    if resume:
        values |= _RESUMING
    if profile is not None:
        values |= PROFILES[profile].options
    if (hears := options.pop("hears")) is not None:
        values["hears"] = Hears(hears)
    if (over := options.pop("over")) is not None:
        values["over"] = Over(over)
    if resume:
        values["hears"] = Hears.NOTHING
    # The relay sends a client its own messages only if it asks for them.
    own = Dialect().url + ("?echo=1" if values.get("hears") is Hears.ALL else "")
    dialect = Dialect(
        url=options.pop("url_template") or own,
        subscribe=options.pop("subscribe_frame"),
        publish=options.pop("publish_frame") or Dialect().publish,
        ready=options.pop("ready_frame"),
        answers=options.pop("answer_frame"),
        ignore=options.pop("ignore_frame"),
        headers=(*options.pop("header"), *token_headers(options.pop("token")).items()),
    )
    if dialect.url == own:
        urls = tuple(map(_without_channel, urls))
    if "{payload}" not in dialect.publish:
        raise click.BadParameter("must hold {payload}", param_hint="--publish-frame")
    ca_file = options.pop("ca_file")
    values["trust"] = Trust(ca_file=ca_file)
    given = {name: value for name, value in options.items() if value is not None and value != ()}
    for name in ("duration", "warm_up"):
        if name in given:
            if given[name] != int(given[name]):
                raise click.BadParameter("must be whole seconds", param_hint=f"--{name.replace('_', '-')}")
            given[name] = int(given[name])
    values |= given
    if given.get("churn"):
        values["act"] = Act.CHURN
    if given.get("slow"):
        values["act"] = Act.SLOW
    plan = Plan(urls=urls, dialect=dialect, profile=profile or NO_PROFILE, **values)
    _check(plan)
    return plan


def _check(plan: Plan) -> None:
    """Refuse a plan that can't be run."""
    connections = plan.clients + plan.publishers
    if not connections:
        raise click.UsageError("--clients and --publishers are both 0: there is no client to connect")
    if plan.rate and not plan.publishers:
        raise click.UsageError("--rate needs at least one of --publishers")
    if plan.duration < 1:
        raise click.BadParameter("must be at least 1s", param_hint="--duration")
    for act, option, value in ((Act.SLOW, "--slow", plan.slow), (Act.CHURN, "--churn", plan.churn)):
        if plan.act is act and not value:
            raise click.BadParameter("must be more than 0", param_hint=option)
    if plan.sweep and not plan.rate:
        raise click.UsageError("a sweep begins at --rate, which must not be 0")
    if plan.resume and (plan.act is not Act.STAY or plan.sweep):
        raise click.UsageError(f"--resume has clients come and go in its own way: leave out --profile {plan.profile}")
    if plan.resume and not (plan.clients and plan.rate):
        raise click.UsageError("--resume needs --clients that listen, and messages: --clients and --rate must not be 0")


def _without_channel(url: str) -> str:
    """Return a gateway's address up to `/ws`; refuse one that names a channel: a run has channels of its own."""
    try:
        address = GatewayAddress.parse(url)
    except AddressError as error:
        raise click.BadParameter(f"{url}: {error}", param_hint="URL") from None
    if address.channel is not None:
        raise click.BadParameter(
            f"{url} names the channel {address.channel!r}, and a run has channels of its own: write {address.base}",
            param_hint="URL",
        )
    return address.base


def _check_resuming(resume: bool, options: dict[str, Any]) -> None:
    """Refuse options that don't go with `--resume`, or not without it."""
    for name in _NOT_RESUMING if resume else _RESUMING_ONLY:
        if options[name] is not None and options[name] != ():
            option = f"--{name.replace('_', '-')}"
            raise click.UsageError(
                f"--resume speaks this relay's HTTP, and its clients come back by themselves: leave out {option}"
                if resume
                else f"{option} is for clients that --resume"
            )
