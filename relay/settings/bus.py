"""Settings of the bus."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ValidationInfo, field_validator

from relay.brokers import schemes
from relay.settings.field import PREFIX, setting
from relay.settings.values import (
    BrokerPrefix,
    BrokerUrl,
    CaFile,
    Range,
)


class BusSettings(BaseModel):
    """Where the bus is, and how long it may take."""

    broker_url: BrokerUrl = setting("memory://", "Bus", "Where the bus is; memory:// is for a single gateway.")
    broker_prefix: BrokerPrefix = setting(
        "relay:", "Bus", "Prefix of every channel on Redis, so that deployments can share one."
    )
    broker_ca_file: CaFile | None = setting(
        None, "Bus", "Authority to trust for rediss://. Not set: those of the system."
    )
    broker_timeout: Annotated[float, Range("seconds", 0.1, 60)] = setting(
        3.0, "Bus", "Seconds to connect; also seconds of silence after which a link counts as dead."
    )
    probe_interval: Annotated[float, Range("seconds", 0.1, 60)] = setting(
        1.0, "Bus", "Seconds between two probes that go through the bus and back."
    )
    publish_timeout: Annotated[float, Range("seconds", 0, 3600)] = setting(
        5.0, "Bus", "Seconds that a publisher waits while the bus is unavailable; then it is closed with 1013."
    )

    @field_validator("broker_ca_file")
    @classmethod
    def _only_with_tls(cls, value: str | None, info: ValidationInfo) -> str | None:
        url = info.data.get("broker_url", "rediss:")
        if value is not None and not schemes.find(url).tls:
            tls = [name for name, scheme in schemes.SCHEMES.items() if scheme.tls]
            raise ValueError(f"{PREFIX}BROKER_URL does not start with {schemes.in_words(tls)}")
        if value is not None and "ssl_ca_certs=" in url:
            raise ValueError(f"not together with ssl_ca_certs in {PREFIX}BROKER_URL")
        return value
