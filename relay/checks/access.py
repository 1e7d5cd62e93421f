"""Items: who clients are, what they may do, and from which pages they may come."""

from __future__ import annotations

from urllib.parse import urlsplit

from relay.auth.host import ANY
from relay.auth.rights import USER
from relay.checks.facts import Facts
from relay.checks.verdict import Verdict, missing, ok, unknown, warning
from relay.redaction import mask_credentials
from relay.settings.access_values import read_keys
from relay.settings.field import PREFIX
from relay.settings.report import SettingSource, describe
from relay.settings.values import is_loopback, show

_EVERY_SITE = "*"
_NO_SITE = "null"


def authentication(facts: Facts) -> Verdict:
    """Judge whether it is known who a client is."""
    settings = facts.settings
    if settings.auth != "none":
        return ok(f"clients are identified: {PREFIX}AUTH={mask_credentials(settings.auth)}")
    if settings.tls_client_ca is not None:
        return ok(f"clients are identified by the certificates that {PREFIX}TLS_CLIENT_CA requires")
    if settings.default_rights is None:
        return missing(
            f"{PREFIX}AUTH is none: any program that reaches the port may use every channel; set {PREFIX}AUTH"
        )
    if any(USER in pattern for pattern in settings.default_rights):
        return missing(
            f"{PREFIX}AUTH is none, so clients choose the name that stands for {USER} in their rights; "
            f"set {PREFIX}AUTH, or remove {USER}"
        )
    return warning(
        f"{PREFIX}AUTH is none: no client is identified, and all clients have the same rights; set {PREFIX}AUTH"
    )


def rights(facts: Facts) -> Verdict:
    """Judge what clients may do without a right of their own."""
    settings, given = facts.settings, facts.settings.default_rights
    if settings.auth == "none" and given is None:
        return missing(f"every client may do everything, because neither {PREFIX}RIGHTS nor {PREFIX}AUTH is set")
    if "w" in (given or {}).get("*", ""):
        return warning(f"every client may publish to every channel: {PREFIX}RIGHTS has *={(given or {})['*']}")
    if settings.auth == "key" and given is None:
        keys = read_keys(settings.auth_keys or (), everything=False)
        if unbound := sum(key.grant.channels is None for key in keys):
            return warning(
                f"{unbound} of {len(keys)} keys in {PREFIX}AUTH_KEYS may do everything: write rights after them, "
                f"or set {PREFIX}RIGHTS"
            )
    if given is None:
        return ok("clients have only the rights of their credentials")
    return ok(f"in addition to its credential's rights, every client has {show(given) or 'none'}")


def tokens(facts: Facts) -> Verdict:
    """Judge whether tokens are for this relay, and end."""
    settings = facts.settings
    if settings.auth != "jwt":
        return ok("the relay accepts no tokens")
    unset = [name for name in ("jwt_issuer", "jwt_audience") if getattr(settings, name) is None]
    if settings.jwks_url is not None and unset:
        names = " and ".join(PREFIX + name.upper() for name in unset)
        return missing(
            f"the issuer signs tokens for other programs with the same keys, and the relay accepts these; set {names}"
        )
    if settings.jwt_expiry == "optional":
        return warning(f"{PREFIX}JWT_EXPIRY is optional: a token without exp is valid for ever; set required")
    return ok("each token has an end")


def origins(facts: Facts) -> Verdict:
    """Judge the pages of which sites may use the relay."""
    settings, allowed = facts.settings, facts.settings.allowed_origins
    if allowed is None:
        if settings.auth == "none":
            return missing(
                f"pages of every site may open WebSockets, from any browser that reaches the relay; "
                f"set {PREFIX}ALLOWED_ORIGINS"
            )
        return ok("only pages of the relay's own host")
    for any_site, why in (
        (_EVERY_SITE, "pages of every site may use the relay"),
        (_NO_SITE, "every site can create such pages"),
    ):
        if any_site in allowed:
            return warning(f"{PREFIX}ALLOWED_ORIGINS has {any_site}: {why}; name yours")
    return ok(f"pages of {show(allowed)}")


def host_names(facts: Facts) -> Verdict:
    """Judge by which names the relay may be called."""
    settings = facts.settings
    if settings.host_names is not None:
        return ok(f"{show(settings.host_names) or 'localhost'}, and addresses")
    reason = "the relay accepts any name, so an attacker can point the name of a page at it (DNS rebinding)"
    if settings.allowed_hosts is not None:
        return warning(f"{PREFIX}ALLOWED_HOSTS is {ANY}: {reason}; name yours")
    judge = missing if settings.auth == "none" else warning
    return judge(f"{reason}; set {PREFIX}ALLOWED_HOSTS")


def secrets(facts: Facts) -> Verdict:
    """Judge whether other users of the machine can read secrets."""
    found: dict[SettingSource, list[str]] = {}
    for setting in describe(type(facts.settings)):
        value = getattr(facts.settings, setting.name)
        if value is not None and (setting.kind.name in ("keys", "secret") or _has_a_password(value)):
            source = facts.sources.get(setting.name, SettingSource.DEFAULT)
            found.setdefault(source, []).append(setting.variable)
    if flags := found.get(SettingSource.FLAG):
        return missing(f"{', '.join(flags)}: every user of this machine can read flags; use the environment")
    if SettingSource.ENV_FILE in found and (facts.env_file_mode or 0) & 0o077:
        return missing(".env contains secrets, and other users of this machine can read it; chmod 600 .env")
    return ok("other users of this machine can't read them" if found else "there are none")


def back_ends(facts: Facts) -> Verdict:
    """Judge whether what is sent to back ends, and comes from them, can be read and changed on the way."""
    urls = {name: getattr(facts.settings, name) for name in ("auth_url", "jwks_url", "rpc_url")}
    plain = [PREFIX + name.upper() for name, url in urls.items() if url is not None and _is_plain(url)]
    if plain:
        return warning(
            f"{', '.join(plain)}: http:// to another machine: others can read and change it on the way; use https://"
        )
    used = [PREFIX + name.upper() for name, url in urls.items() if url is not None]
    return ok(f"{', '.join(used)}: with TLS, or on this machine" if used else "none is asked")


def server_api(facts: Facts) -> Verdict:
    """Judge who reaches the server API."""
    if facts.settings.api_keys is None:
        return ok(f"it is off, because {PREFIX}API_KEYS is not set")
    if facts.settings.on_loopback and not facts.behind_a_proxy:
        return ok("only for programs on this machine with a key")
    return unknown("/api is on the port of clients, and only keys protect it: let the balancer refuse it from outside")


def _is_plain(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def _has_a_password(value: object) -> bool:
    return isinstance(value, str) and mask_credentials(value) != value
