"""JSON Web Tokens (RFC 7519) in the compact form of a signature (RFC 7515, section 7.1): verified and read.

PyJWT does the cryptography and knows the keys. Taking the token apart is ours: `jwt.decode` takes 43 µs with HS256, a
quarter of a handshake, and this takes 8. What a header could bring to change how it is verified is refused (`crit`), or
never looked at: keys of its own in `jwk`, `jku`, `x5c` and `x5u`.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Generic, TypeVar

import msgspec

from relay.auth.credential import Unauthenticated
from relay.auth.given_json import ABSENT
from relay.auth.grant import LATEST
from relay.auth.keys import Key, Verify

_BASE64URL: Final = bytes.maketrans(b"-_+/=", b"+/!!!")
"""To plain base64, whose own two characters and padding become illegal."""


class Header(msgspec.Struct, gc=False):
    """What is read of a token's header; see RFC 7515, section 4.1."""

    alg: str
    kid: str | None = None
    crit: msgspec.Raw = ABSENT


class SignedClaims(msgspec.Struct, gc=False):
    """What every kind of token may say: claims of RFC 7519, and those that Centrifugo and this relay have in all.

    `expire_at` is Centrifugo's: when the right ends, instead of `exp`; 0: never.
    """

    sub: str | None = None
    exp: float | None = None
    nbf: float | None = None
    iat: float | None = None
    iss: str | None = None
    aud: str | list[str] | None = None
    info: msgspec.Raw = ABSENT
    expire_at: float | None = None


AnyClaims = TypeVar("AnyClaims", bound=SignedClaims)


class UnknownKey(Unauthenticated):
    """No key of the relay has the id that a token names; another look at the issuer's keys may find it."""

    def __init__(self) -> None:
        super().__init__("unknown_key", "the token is signed with a key that this relay doesn't know")


HEADERS: Final = 256
"""Of tokens that are remembered: those of one issuer and key have the same."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token has to say.

    Args:
        issuer: its `iss`; None: any.
        audiences: one of them has to be in its `aud`; empty: any, also none.
        leeway: seconds by which clocks may differ.
        expiry_required: whether `exp` has to be there.
    """

    issuer: str | None = None
    audiences: Collection[str] = ()
    leeway: float = 0.0
    expiry_required: bool = True


class ClaimsReader(Generic[AnyClaims]):
    """Verifies tokens of one kind, and reads their claims.

    Args:
        kind: class of the claims.
        rules: what they have to say.
        now: returns the time in seconds since 1970.
    """

    def __init__(self, kind: type[AnyClaims], rules: TokenRules, now: Callable[[], float]) -> None:
        self._read_claims = msgspec.json.Decoder(kind).decode
        self._rules = rules
        self._now = now
        # Of the headers of valid tokens, which are few: what has verified the last one, and the keys at that time.
        self._verified: dict[str, Verify] = {}
        self._keys: Sequence[Key] = ()

    def read(self, token: str, keys: Sequence[Key]) -> AnyClaims:
        """Return what a token says.

        Args:
            token: as the client has sent it, not verified.
            keys: that may have signed it; another object when they have changed.

        Raises:
            UnknownKey: none of them has the id that the token names.
            Unauthenticated: the token is not in order; the reason is a sentence for the client.
        """
        signed, dot, signature = token.rpartition(".")
        head, middle, payload = signed.partition(".")
        if not (dot and middle) or "." in payload or not token.isascii():
            raise malformed("it must be a JSON Web Token: three parts with dots between them")
        self._check_signature(head, signed.encode(), _decode(signature), keys)
        try:
            claims = self._read_claims(_decode(payload))
        except msgspec.MsgspecError as error:
            raise malformed(f"its claims: {error}") from None
        except (UnicodeDecodeError, RecursionError):
            raise malformed("its claims are not UTF-8, or nested too deeply") from None
        self._check(claims)
        return claims

    @property
    def leeway(self) -> float:
        """Seconds by which clocks may differ."""
        return self._rules.leeway

    def expires_at(self, claims: AnyClaims) -> float | None:
        """Return when the right ends that a token gives, in seconds since 1970; None: never."""
        expires_at = claims.exp if claims.expire_at is None else claims.expire_at or None
        # The leeway counts, else what is let in with a token that is just over would end at once.
        return None if expires_at is None else expires_at + self._rules.leeway

    def _check_signature(self, head: str, signed: bytes, signature: bytes, keys: Sequence[Key]) -> None:
        """Check who has signed a token; raises what `read` does."""
        if keys is not self._keys:
            self._verified.clear()
            self._keys = keys
        verify = self._verified.get(head)
        if verify is None or not verify(signed, signature):
            verify = _signer(read_header(head), signed, signature, keys, verify)
            if len(self._verified) >= HEADERS:
                self._verified.clear()
            self._verified[head] = verify

    def _check(self, claims: SignedClaims) -> None:
        """Check the claims about time, issuer and audience (RFC 7519, section 4.1)."""
        rules, now = self._rules, self._now()
        for moment in (claims.exp, claims.nbf, claims.iat, claims.expire_at):
            if moment is not None and not 0 <= moment < LATEST:
                raise malformed("its times must be seconds since 1970")
        if claims.exp is None:
            if rules.expiry_required:
                raise Unauthenticated("no_expiry", "the token has no exp, so it would be valid for ever")
        elif now >= claims.exp + rules.leeway:
            raise Unauthenticated("expired", "the token has expired")
        if claims.nbf is not None and now < claims.nbf - rules.leeway:
            raise Unauthenticated("not_yet_valid", "the token is not valid yet")
        if claims.iat is not None and now < claims.iat - rules.leeway:
            raise Unauthenticated("not_yet_valid", "the token says that it was issued in the future")
        if rules.issuer is not None and claims.iss != rules.issuer:
            raise Unauthenticated("wrong_issuer", "the token is of another issuer")
        if rules.audiences:
            given = [claims.aud] if isinstance(claims.aud, str) else claims.aud or ()
            if not any(audience in rules.audiences for audience in given):
                raise Unauthenticated("wrong_audience", "the token is for another audience")


@lru_cache(HEADERS)
def read_header(encoded: str) -> Header:
    """Return the header of a token."""
    try:
        header = msgspec.json.decode(_decode(encoded), type=Header)
    except msgspec.MsgspecError as error:
        raise malformed(f"its header: {error}") from None
    except (UnicodeDecodeError, RecursionError):
        raise malformed("its header is not UTF-8, or nested too deeply") from None
    if header.crit:
        raise malformed("its header has crit, and this relay knows no extension")
    return header


def _signer(header: Header, signed: bytes, signature: bytes, keys: Sequence[Key], failed: Verify | None) -> Verify:
    """Return what has verified the signature of a token.

    Args:
        header: of the token.
        signed: what is signed.
        signature: of that.
        keys: that may have signed it.
        failed: what didn't verify it, and isn't tried again; None: nothing was tried.

    Raises:
        Unauthenticated: none of the keys has.
    """
    named = [key for key in keys if key.fits(header.kid)]
    if not named:
        raise UnknownKey
    able = [key for key in named if header.alg in key.algorithms]
    if not able:
        # A secret has no id, so it fits any token; that it is none of an issuer's keys says nothing of the algorithm.
        unnamed = header.kid is not None and all(key.id is None for key in named)
        if unnamed and any(header.alg in key.algorithms for key in keys):
            raise UnknownKey
        raise Unauthenticated("wrong_algorithm", "the token is signed with an algorithm that this relay doesn't accept")
    for key in able:
        verify = key.algorithms[header.alg]
        if verify is not failed and verify(signed, signature):
            return verify
    if header.kid is not None and all(key.id is None for key in able):
        raise UnknownKey
    raise Unauthenticated("wrong_signature", "the token's signature is not valid")


def _decode(part: str) -> bytes:
    """Return the bytes of one part of a token: base64url without padding (RFC 7515, section 2)."""
    try:
        data = part.encode().translate(_BASE64URL)
        return binascii.a2b_base64(data + b"=" * (-len(data) % 4), strict_mode=True)
    except (binascii.Error, ValueError):
        raise malformed("its parts must be base64url without padding") from None


def malformed(rule: str) -> Unauthenticated:
    """Return the refusal of a token that breaks a rule."""
    return Unauthenticated("malformed", f"the token can't be read: {rule}")
