"""`relay token`: tokens that a gateway accepts, and what it says of tokens."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.auth.key_pairs import RSA
from tests.cli.asked_token import PRIVATE_KEY, SECRET, PrivateKey, ask, made, signed
from tests.cli.asked_token import _settings as _settings
from tests.cli.command import ROOT, run
from tests.conftest import EmbeddedFactory
from tests.harness.free_port import free_port
from tests.harness.http_response import get


def pem(folder: Path, key: PrivateKey, name: str = "private.pem") -> tuple[str, str]:
    """Write a private key and its public one; return both paths."""
    private, public = folder / name, folder / f"public-{name}"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return str(private), str(public)


async def test_a_token_in_a_shell_s_variable_opens_a_channel(embedded: EmbeddedFactory) -> None:
    """Standard output has the token alone."""
    token = made("--user", "ann", "--channel", "chat:*=rw", "--ttl", "1h", "--info", '{"colour": "red"}')
    (gateway,) = await embedded(1)
    assert (await get(gateway.port, f"/poll/chat:1?wait=0&token={token}")).status == 200
    assert (await get(gateway.port, f"/poll/other?wait=0&token={token}")).status == 403
    assert (await get(gateway.port, "/poll/chat:1?wait=0")).status == 401


def test_a_token_says_what_was_asked_for_and_what_the_settings_want(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_JWT_ISSUER", "https://login.example")
    monkeypatch.setenv("RELAY_JWT_AUDIENCE", "relay,other")
    before = int(time.time())
    token = made(
        "--user", "ann", "--channel", "chat:*=rw", "--channel", "user:{sub}=rp", "--ttl", "2d", "--info", "[1]"
    )
    claims = jwt.decode(token, SECRET, ["HS256"], audience="relay")
    issued = claims.pop("iat")
    assert before <= issued <= time.time()
    assert claims == {
        "sub": "ann",
        "exp": issued + 172_800,
        "iss": "https://login.example",
        "aud": "relay",
        "channels": {"chat:*": "rw", "user:{sub}": "rp"},
        "info": [1],
    }
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}


async def test_a_token_may_subscribe_its_client(embedded: EmbeddedFactory) -> None:
    """Which lets it hear the channel, as by rights."""
    token = made("--user", "ann", "--subscribe", "news", "--subscribe", "chat:1", "--lasts", "never")
    claims = jwt.decode(token, SECRET, ["HS256"])
    assert (claims["subs"], claims["expire_at"]) == ({"news": {}, "chat:1": {}}, 0)
    (gateway,) = await embedded(1)
    assert (await get(gateway.port, f"/poll/chat:1?wait=0&token={token}")).status == 200
    assert (await get(gateway.port, f"/poll/chat:2?wait=0&token={token}")).status == 403


def test_a_token_for_one_subscription() -> None:
    token = made("--subscription", "chat:1", "--user", "ann", "--ttl", "1m", "--lasts", "2h", "--info", "[1]")
    claims = jwt.decode(token, SECRET, ["HS256"])
    issued = claims.pop("iat")
    assert claims == {
        "sub": "ann",
        "channel": "chat:1",
        "exp": issued + 60,
        "expire_at": issued + 7200,
        "info": [1],
    }
    accepted = ask("--check", token, "--subscription", "chat:1", "--user", "ann")
    assert (accepted.code, accepted.errors) == (0, "")
    assert re.search(r"accepted\n  user   ann\n  until  .*in 2 hours\n  info   \[1\]\n$", accepted.output)
    for arguments, words in (
        (["--subscription", "chat:1"], "another channel, or of another user"),
        (["--subscription", "chat:2", "--user", "ann"], "another channel, or of another user"),
        ([], "it is for one subscription, and not for a connection"),
    ):
        refused = ask("--check", token, *arguments)
        assert (refused.code, refused.output, words in refused.errors) == (1, "", True), refused.errors
    other = ask("--check", signed({"channel": "a"}, SECRET + "x"), "--subscription", "a")
    assert "refused: the token's signature is not valid (it was signed with another key" in other.errors
    late = ask("--check", signed({"channel": "a", "exp": 1}), "--subscription", "a")
    assert late.errors == "relay: refused: the token has expired, or is not valid yet\n"


def test_there_are_doubts_about_a_token_for_a_subscription(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "RELAY_AUTH is none" in ask("--subscription", "a", "--auth", "none").errors
    monkeypatch.setenv("RELAY_JWT_AUDIENCE", "relay")
    assert "no exp" in ask("--subscription", "a", "--ttl", "never").errors


def test_a_token_with_subscriptions_is_explained() -> None:
    token = signed({"sub": "ann", "channels": ["news"], "subs": {"chat:1": {"info": 1}}})
    outcome = ask("--check", token, "--channel", "news")
    assert outcome.code == 0
    assert "  hears  news, chat:1: the token subscribes to it" in outcome.output
    assert (
        "  news: may subscribe, may not publish; the token subscribes to it; else no pattern matches" in outcome.output
    )
    assert ask("--check", token, "--channel", "other").code == 1


@pytest.mark.parametrize(
    ("key", "arguments", "algorithm"),
    [
        (ec.generate_private_key(ec.SECP256R1()), [], "ES256"),
        (ec.generate_private_key(ec.SECP521R1()), [], "ES512"),
        (ed25519.Ed25519PrivateKey.generate(), [], "EdDSA"),
        (RSA, [], "RS256"),
        (RSA, ["--algorithm", "PS384"], "PS384"),
    ],
    ids=["P-256", "P-521", "Ed25519", "RSA", "RSA-PSS"],
)
def test_private_keys_of_every_kind_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: PrivateKey, arguments: list[str], algorithm: str
) -> None:
    private, public = pem(tmp_path, key)
    monkeypatch.setenv("RELAY_JWT_PUBLIC_KEY", public)
    token = made("--private-key", private, "--kid", "2024", "--channel", "a=r", *arguments)
    assert jwt.get_unverified_header(token) == {"alg": algorithm, "typ": "JWT", "kid": "2024"}
    assert ask("--check", token).code == 0


def test_a_new_secret_is_one_and_never_the_same() -> None:
    secrets = {made("--new-secret") for _ in range(3)}
    assert len(secrets) == 3
    for secret in secrets:
        assert ask("--jwt-secret", secret, "--algorithm", "HS512", "--channel", "a=r").code == 0


def test_doubts_are_told_beside_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made all the same: its maker may know better."""
    private, _ = pem(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    nothing = "this token allows nothing: give it --channel PATTERN=LETTERS, or set RELAY_RIGHTS for all clients"
    for arguments, doubt in (
        ([], nothing),
        (
            ["--channel", "a=r", "--auth", "none"],
            "gateways with these settings don't verify tokens: RELAY_AUTH is none",
        ),
        (["--channel", "a{sub}=r"], "a{sub} matches no channel: {sub} stands for the user, and there is no --user"),
        (
            ["--channel", "a=r", "--ttl", "never"],
            "a gateway with these settings refuses this token: the token has no exp, so it would be valid for ever",
        ),
        (
            ["--channel", "a=r", "--private-key", private],
            "a gateway with these settings refuses this token: the token is signed with an algorithm that this relay "
            "doesn't accept",
        ),
        (
            ["--channel", "a=r", "--info", json.dumps("x" * 5000)],
            "a gateway with these settings refuses this token: the token can't be used: info: must have at most 4096 "
            "bytes, has 5002",
        ),
        (
            ["--channel", "a=r", "--info", json.dumps("x" * 9000)],
            "a gateway with these settings refuses this token: it has 12169 bytes, more than 8192",
        ),
    ):
        outcome = ask(*arguments)
        assert (outcome.code, outcome.errors) == (0, f"relay: {doubt}\n")
        assert outcome.output.count(".") == 2
    monkeypatch.setenv("RELAY_RIGHTS", "news=r")
    made()
    monkeypatch.delenv("RELAY_JWT_SECRET")
    made("--private-key", private, "--auth", "none")  # where gateways have their settings elsewhere


def test_what_no_token_can_be_made_of_is_wrong_usage(tmp_path: Path) -> None:
    """With the option and what it may be; never with the secret."""
    encrypted, garbage = tmp_path / "encrypted.pem", tmp_path / "garbage.pem"
    encrypted.write_bytes(
        PRIVATE_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password"))
    )
    garbage.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    curve, _ = pem(tmp_path, ec.generate_private_key(ec.SECP256K1()), "curve.pem")
    for arguments, words in (
        (["--channel", "chat"], "--channel: not 'chat': PATTERN=LETTERS"),
        (["--channel", "a*b=r"], "--channel: the pattern 'a*b': * stands at the end only"),
        (["--channel", "a=x"], "the rights must be some of rwph"),
        (["--subscribe", "a b"], "--subscribe: channel 'a b': must not contain white space"),
        (["--subscription", ""], "--subscription: channel '': must have 1 to 255 bytes"),
        (["--subscription", "a", "--channel", "a=r"], "without --channel and --subscribe"),
        (["--subscription", "a", "--subscribe", "a"], "without --channel and --subscribe"),
        (["--lasts", "soon"], "'soon' is not a duration"),
        (["--check", "a.b.c", "--subscription", "a b"], "--subscription: channel 'a b'"),
        (["--user", " ann"], "--user: must not begin or end with white space"),
        (["--ttl", "soon"], "'soon' is not a duration"),
        (["--ttl", "0"], "too little: at least 1"),
        (["--info", "{"], "--info: '{' is no JSON"),
        (["--info", "NaN"], "NaN is not a number"),
        (["--info", "[" * 100_000], "is no JSON"),
        (["--algorithm", "ES256"], "--algorithm: the key signs with HS256, and not with ES256"),
        (["--algorithm", "HS512"], "--algorithm: the key signs with HS256, and not with HS512"),
        (["--private-key", "/no/such"], "--private-key: No such file or directory: '/no/such'"),
        (["--private-key", str(encrypted)], "is encrypted; `openssl pkey"),
        (["--private-key", str(garbage)], "holds no private key in PEM"),
        (["--private-key", curve], "is neither RSA, nor of the curves"),
        (["--jwt-secret", "", "--auth", "none"], "there is no key to sign with: set RELAY_JWT_SECRET"),
        (
            ["--jwt-secret", ""],
            "`relay token --new-secret` prints one; RELAY_AUTH=jwt needs this, RELAY_JWKS_URL or RELAY_JWT_PUBLIC_KEY",
        ),
        (["--jwt-secret", "short"], "1 setting is wrong"),
        (["--jwt-secret", "", "--jwt-public-key", "", "--auth", "none", "--check", "a.b.c"], "no key to check with"),
        (["--check", signed({}), "--channel", "a b"], "--channel: channel 'a b': must not contain white space"),
    ):
        outcome = ask(*arguments)
        assert (outcome.code, outcome.output) == (2, ""), arguments
        assert words in " ".join(outcome.errors.split()), outcome.errors
        assert "short" not in outcome.errors


async def test_a_closed_standard_input_is_told() -> None:
    outcome = await run("token", "--check", "-")
    assert outcome.code == 1
    assert "three parts" in outcome.errors


def test_the_lines_of_the_readme_let_in_those_who_have_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they stand there, in a shell; and nobody else."""
    for name in ("RELAY_AUTH", "RELAY_JWT_SECRET"):
        monkeypatch.delenv(name)
    section = (ROOT / "README.md").read_text().partition("\n## Who may do what\n")[2]
    ask_for_tokens, serve, listen = section.partition("```sh\n")[2].partition("\n```")[0].splitlines()
    script = f"""
        {ask_for_tokens}
        {serve}
        gateway=$!
        trap 'kill $gateway' EXIT
        until relay health; do sleep 0.1; done
        relay subscribe chat:lobby && exit 9
        {listen} --count 1 >heard 2>told &
        until grep -q 'listening to' told; do sleep 0.1; done
        RELAY_TOKEN="$(relay token --channel 'chat:*=rw')" relay publish chat:lobby hello || exit 8
        wait $!
    """
    paths = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    given = {**os.environ, "PATH": paths, "PYTHONPATH": str(ROOT), "RELAY_PORT": str(free_port())}
    done = subprocess.run(["sh", "-c", script], env=given, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "heard").read_text() == "hello\n"
    assert "answered HTTP 401: it wants a key or a token" in done.stderr
