"""What a gateway does with a token, and why, in words for the people who make tokens.

Clients are told less: what the settings want of a token is no business of a client that has none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import click
import jwt

from relay.auth.authenticator import Identity
from relay.auth.credential import MAX_CREDENTIAL_BYTES, Unauthenticated
from relay.auth.keys import Key
from relay.auth.rights import NONE, USER, Patterns, Right, Rule, compile_patterns, read_rule
from relay.auth.subscription_tokens import SubscriptionTokens
from relay.auth.tokens import TokenVerifier
from relay.authenticators.credentials import Credentials
from relay.authenticators.issuer_keys import client_of, fetch_keys
from relay.authenticators.jwt import configured_keys, token_rules
from relay.back_ends.http_client import CallFailed
from relay.channel import check_channel
from relay.errors import ChannelError
from relay.protocols.request_errors import TokenRefused
from relay.redaction import JOINERS, escape_controls
from relay.settings import Settings

_HEADINGS: Final = ("pattern", "given by", *(right.name.lower() for right in Right))

_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))

_TOKEN, _RIGHTS, _NAMESPACES = "the token", "RELAY_RIGHTS", "its namespace"


def check_token(token: str, channels: Sequence[str], settings: Settings, now: Callable[[], float] = time.time) -> bool:
    """Print what a token allows, or on standard error why it is refused.

    Args:
        token: from any source, so not to be trusted.
        channels: names of channels to ask about.
        settings: of the gateways.
        now: returns the time in seconds since 1970.

    Returns:
        Whether it is accepted, and gives a right to each of the channels.

    Raises:
        click.UsageError: there is no key to check with, or a name can't be that of a channel.
    """
    keys = _keys(settings, channels, "--channel")
    try:
        if len(token) > MAX_CREDENTIAL_BYTES:
            raise Unauthenticated("too_long", f"the token has {len(token)} bytes, more than {MAX_CREDENTIAL_BYTES}")
        grant = TokenVerifier(token_rules(settings), now).verify(token, keys)
        identity = Credentials("token", None, settings.default_rights).identity(grant)
    except Unauthenticated as error:
        return _refused(error.reason, _details(error.cause, token, keys, settings, now()))
    click.secho("accepted", fg="green")
    for line in _about(identity, now()):
        click.echo(line)
    click.echo()
    defaults = settings.default_rights or {}
    own = grant.channels or {}
    givers = _givers(own, settings)
    for line in _table({**own, **defaults, **own}, givers, grant.user):
        click.echo(line)
    patterns = compile_patterns(own, defaults)
    given = () if grant.server_side is None else grant.server_side.subscriptions
    answers = [_answer(patterns, channel, grant.user, givers, channel in given) for channel in channels]
    if answers:
        click.echo()
    for answer, _ in answers:
        click.echo(answer)
    return all(allowed for _, allowed in answers)


def check_subscription(
    token: str, channel: str, user: str | None, settings: Settings, now: Callable[[], float] = time.time
) -> bool:
    """Print that a token gives a subscription, or on standard error why it doesn't; return which.

    Args:
        token: from any source, so not to be trusted.
        channel: to which a client wants to subscribe.
        user: of the client; None: it has none.
        settings: of the gateways.
        now: returns the time in seconds since 1970.

    Raises:
        click.UsageError: as `check_token`.
    """
    keys = _keys(settings, [channel], "--subscription")
    try:
        grant = SubscriptionTokens(token_rules(settings), now).verify(token, keys, channel, user)
    except TokenRefused as error:
        return _refused(error.reason, _details(error.fault, token, keys, settings, now()) if error.fault else ())
    click.secho("accepted", fg="green")
    for line in _about(Identity(user, expires_at=grant.expires_at, info=grant.info), now()):
        click.echo(line)
    return True


def _keys(settings: Settings, channels: Sequence[str], option: str) -> list[Key]:
    """Return the keys to check with; see that channels can have their names, and say when no gateway checks."""
    keys = configured_keys(settings)
    if not keys and settings.jwks_url is None:
        raise click.UsageError(
            "there is no key to check with: set RELAY_JWT_SECRET, RELAY_JWKS_URL or RELAY_JWT_PUBLIC_KEY"
        )
    if settings.jwks_url is not None:
        keys += asyncio.run(_issuer_keys(settings.jwks_url))
    for channel in channels:
        try:
            check_channel(channel)
        except ChannelError as error:
            raise click.BadParameter(str(error), param_hint=option) from None
    if settings.auth != "jwt":
        click.secho(
            f"relay: gateways with these settings don't verify tokens: RELAY_AUTH is {settings.auth}",
            fg="yellow",
            err=True,
        )
    return keys


def _refused(reason: str, details: Iterable[str]) -> bool:
    more = "; ".join(details)
    click.secho(f"relay: refused: {reason}{f' ({more})' if more else ''}", fg="red", err=True)
    return False


async def _issuer_keys(url: str) -> list[Key]:
    """Return the keys that the issuer publishes; when they can't be had, say so, and return none."""
    client = client_of(url)
    await client.open()
    try:
        return await fetch_keys(client)
    except CallFailed as error:
        click.secho(
            f"relay: the issuer's keys can't be fetched from {client.host}: {error}; "
            "gateways that have none of them yet answer its tokens with 503",
            fg="yellow",
            err=True,
        )
        return []
    finally:
        await client.close()


def _givers(given: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """Return what gives the rights of each pattern; of two that are equal the token's count."""
    return {
        **dict.fromkeys(settings.default_rights or {}, _NAMESPACES),
        **dict.fromkeys(settings.rights or {}, _RIGHTS),
        **dict.fromkeys(given, _TOKEN),
    }


def _about(identity: Identity, now: float) -> Iterator[str]:
    """Yield who a client with the token is, and until when."""
    yield f"  user   {'none: the token has no sub' if identity.user is None else identity.user}"
    if identity.expires_at is None:
        yield "  until  its client leaves: the connection doesn't end by itself"
    else:
        yield f"  until  {_moment(identity.expires_at, now)}"
    if identity.info is not None:
        yield f"  info   {escape_controls(identity.info.decode(errors='replace'), keep=JOINERS)}"
    if identity.server_side is not None and identity.server_side.subscriptions:
        yield f"  hears  {', '.join(identity.server_side.subscriptions)}: the token subscribes to it"


def _table(rights: Mapping[str, str], givers: Mapping[str, str], user: str | None) -> Iterator[str]:
    """Yield rights as a table.

    Args:
        rights: by pattern, the token's first.
        givers: what has given each.
        user: the token's.
    """
    rules = [(read_rule(*item), givers[item[0]]) for item in rights.items()]
    rows = [_HEADINGS, *((_show(rule, user), by, *_marks(rule.allowed)) for rule, by in rules)]
    rows.append(("all others" if rules else "all", "", *_marks(NONE)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(cells)}".rstrip()


def _show(rule: Rule, user: str | None) -> str:
    """Return a pattern, and what it means for the user."""
    if not rule.personal:
        return rule.pattern
    meaning = "none: there is no user" if user is None else rule.pattern.replace(USER, user)
    return f"{rule.pattern} ({meaning})"


def _marks(allowed: Iterable[Right]) -> list[str]:
    held = set(allowed)
    return ["yes" if right in held else "-" for right in Right]


def _answer(
    patterns: Patterns, channel: str, user: str | None, givers: Mapping[str, str], given: bool
) -> tuple[str, bool]:
    """Return what the token allows in a channel, and why; and whether it allows anything there.

    Args:
        patterns: of the token, and of all clients.
        channel: to ask about.
        user: of the token.
        givers: of the patterns.
        given: whether the token itself subscribes its client to the channel.
    """
    rule = patterns.deciding(channel, user)
    allowed = NONE if rule is None else rule.allowed
    why = "no pattern matches" if rule is None else f"{rule.pattern} of {givers[rule.pattern]} decides"
    if given:
        allowed = allowed | {Right.SUBSCRIBE}
        why = f"the token subscribes to it; else {why}"
    words = ", ".join(
        f"{'may' if right in allowed else 'may not'} {right.name.lower()}" for right in (Right.SUBSCRIBE, Right.PUBLISH)
    )
    return f"  {channel}: {words}; {why}", bool(allowed & {Right.SUBSCRIBE, Right.PUBLISH})


def _details(cause: str, token: str, keys: Sequence[Key], settings: Settings, now: float) -> Iterator[str]:
    """Yield what the person with the settings may know besides the sentence for clients."""
    try:
        read = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return
    header: dict[str, Any] = read["header"]
    claims: dict[str, Any] = read["payload"]
    if cause == "unknown_key":
        yield f"its kid is {_quote(header.get('kid'))}"
    elif cause == "wrong_algorithm":
        accepted = dict.fromkeys(name for key in keys for name in key.algorithms)
        yield f"its alg is {_quote(header.get('alg'))}; the keys here are for {', '.join(accepted)}"
    elif cause == "wrong_signature":
        yield "it was signed with another key, or changed afterwards"
    elif cause == "no_expiry":
        yield "RELAY_JWT_EXPIRY=optional allows that"
    elif cause == "expired":
        yield _moment(claims["exp"], now)
    elif cause == "not_yet_valid":
        for name in ("nbf", "iat"):
            if (moment := claims.get(name) or now) > now:
                yield f"{name}: {_moment(moment, now)}; RELAY_JWT_LEEWAY is {settings.jwt_leeway:g} s"
    elif cause == "wrong_issuer":
        yield f"its iss is {_quote(claims.get('iss'))}; RELAY_JWT_ISSUER is {_quote(settings.jwt_issuer)}"
    elif cause == "wrong_audience":
        wanted = ", ".join(map(repr, settings.jwt_audience or ()))
        yield f"its aud is {_quote(claims.get('aud'))}; RELAY_JWT_AUDIENCE is {wanted}"


def _quote(value: object) -> str:
    """Return a value of a token in quotes; a missing one in words."""
    return "missing" if value is None else escape_controls(repr(value))[:120]


def _moment(moment: float, now: float) -> str:
    """Return a moment in words, in the time zone of this machine, and how far away it is."""
    local = datetime.fromtimestamp(moment).astimezone()
    seconds = abs(moment - now)
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds >= 2 * size), _UNITS[-1])
    count = round(seconds / size)
    span = f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{local:%A %d %B %Y, %H:%M:%S %Z}, {f'in {span}' if moment > now else f'{span} ago'}"
