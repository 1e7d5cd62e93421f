"""The rights on Redis that docs/operations.md advises, as `ACL SETUSER` takes them."""

from __future__ import annotations

import re
from typing import Final

from relay.brokers.redis.rights import Need
from tests.docs.pages import text_of

_PAGE = text_of("docs/operations.md")
_BASIC = re.search(r"^    ACL SETUSER relay .* (resetchannels .+)$", _PAGE, re.MULTILINE)
_MORE = re.findall(r"^    (~relay:.+)$", _PAGE, re.MULTILINE)
assert _BASIC is not None

RULES: Final = dict(zip(Need, (_BASIC[1], *_MORE), strict=True))
"""The rules of the page, by who needs them."""

FOR_MESSAGES: Final = RULES[Need.ALWAYS]
FOR_POSITIONS: Final = f"{FOR_MESSAGES} {RULES[Need.POSITIONS]}"
FOR_PRESENCE: Final = f"{FOR_MESSAGES} {RULES[Need.PRESENCE]}"
