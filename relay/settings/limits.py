"""Settings: what one client, one address and one user may take."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel

from relay.settings.field import setting
from relay.settings.values import Range

Most = Annotated[int, Range("integer", 0, 1_000_000_000)]
"""The most of something; 0: no limit."""

CONNECTIONS_PER_ADDRESS: Final = 2000
"""More people than share an address at one gateway: a campus, or a provider's NAT. About 10 MB."""

PUBLISHES_PER_SECOND: Final = 1000
"""A request costs 140 µs: a seventh of a core."""

CONNECTIONS_PER_USER: Final = 1000
"""Far more than the devices and tabs of a person: room for a back end that connects as one user."""

FAILED_AUTHENTICATIONS: Final = 200
"""More than the people behind one address whose tokens expire within a minute."""


class LimitSettings(BaseModel):
    """Rates and numbers, beside those of sizes that stand with what they are about."""

    max_messages_per_second: Most = setting(
        20_000, "Limits", "Messages a second of one WebSocket; beyond it is read more slowly, then closed. 0: no limit."
    )
    max_bytes_per_second: Most = setting(
        8_388_608, "Limits", "Bytes of messages a second of one WebSocket; beyond as above. 0: no limit."
    )
    max_channels_per_connection: Annotated[int, Range("integer", 1, 100_000)] = setting(
        128, "Limits", "Most channels of one WebSocket, for protocols with several channels."
    )
    max_publishes_per_second: Most | None = setting(
        None, "Limits", "POST /publish and /emulation a second of one address. 0: no limit. Not set: 1000 if public."
    )
    max_connections_per_address: Most | None = setting(
        None, "Limits", "Clients of one address, or IPv6 /64. 0: no limit. Not set: 2000 if public."
    )
    # With `none` any client can claim a name, and with `key` many clients may share it.
    max_connections_per_user: Most | None = setting(
        None, "Limits", "Clients of one user. 0: no limit. Not set: 1000, or no limit with RELAY_AUTH none or key."
    )
    max_new_connections_per_second: Most = setting(
        2000, "Limits", "New clients a second, of all workers; more get HTTP 503. 0: no limit."
    )
    max_failed_authentications: Most | None = setting(
        None, "Limits", "Refused tokens and keys a minute of one address. 0: no limit. Not set: 200 if public."
    )
