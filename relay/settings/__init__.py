"""The settings of a gateway, from `RELAY_*` variables, a `.env` file and keyword arguments."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from relay.brokers import schemes
from relay.errors import SettingProblem, SettingsError
from relay.redaction import mask_credentials
from relay.settings.report import PREFIX, broken_lines, problems, quiet_dotenv
from relay.settings.values import (
    ApiKeys,
    BrokerPrefix,
    BrokerUrl,
    CaFile,
    ChannelName,
    HostNames,
    Hosts,
    Lowered,
    Networks,
    Origins,
    Range,
    Subprotocols,
    Text,
    Workers,
)
from relay.system_error import in_words

ENV_FILE = ".env"

Value = TypeVar("Value")


def setting(default: Value, group: str, meaning: str) -> Value:
    """Declare a setting: its default, the group under which it is listed, and its meaning in one line."""
    field: Value = Field(default, description=meaning, json_schema_extra={"group": group})
    return field


class Settings(BaseSettings):
    """The settings of one gateway: frozen, and all of them checked when the object is made.

    Args:
        **overrides: values by name. They come before the environment, which comes before `.env` in the working folder.
            An empty variable counts as not set.

    Raises:
        SettingsError: holds a problem for each setting that can't be used.
        TypeError: an override is not a setting.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_ignore_empty=True,
        # Values are text, never JSON: as JSON, `null` would mean "not set", and a key of digits would be a number.
        enable_decoding=False,
        frozen=True,
        dotenv_filtering="only_existing",
        validate_default=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )

    host: Hosts = setting(
        ("127.0.0.1",), "Listening", "Addresses to listen on; 0.0.0.0 is all of IPv4, :: all of IPv6 and that alone."
    )
    port: Annotated[int, Range("integer", 0, 65535)] = setting(
        8000, "Listening", "TCP port to listen on; 0 takes any free one."
    )
    metrics_port: Annotated[int, Range("integer", 1, 65535)] | None = setting(
        None, "Listening", "TCP port for /metrics, /healthz and /readyz alone. Not set: all on RELAY_PORT."
    )
    max_connections: Annotated[int, Range("integer", 1, 10_000_000)] | None = setting(
        None, "Listening", "Clients at once, of all workers; more get HTTP 503. Not set: what file descriptors allow."
    )
    trusted_proxies: Networks | None = setting(
        None, "Listening", "Proxies whose X-Forwarded-For, Forwarded and PROXY headers are believed. Not set: none."
    )
    handshake_timeout: Annotated[float, Range("seconds", 0.1, 300)] = setting(
        10.0,
        "Listening",
        "Seconds for the head of a request; also the longest wait for an authenticator, and then for the bus.",
    )
    max_header_bytes: Annotated[int, Range("bytes", 1024, 1_048_576)] = setting(
        16_384, "Listening", "Bytes of a request's line and headers together."
    )
    # websockets itself reads no more than 128 headers.
    max_headers: Annotated[int, Range("integer", 1, 128)] = setting(100, "Listening", "Headers of one request.")
    keepalive_timeout: Annotated[float, Range("seconds", 0.1, 3600)] = setting(
        100.0, "Listening", "Seconds that an HTTP connection may wait for its next request; above that of a proxy."
    )
    allowed_origins: Origins | None = setting(
        None,
        "Listening",
        "Sites whose pages may use the relay, and no others. Not set: any by WebSocket, else only its own.",
    )
    allowed_hosts: HostNames | None = setting(
        None, "Listening", "Names by which clients may call the relay, besides addresses and localhost. Not set: any."
    )
    subprotocols: Subprotocols = setting(
        ("*",), "Listening", "Subprotocols that are accepted when a WebSocket offers some, the best first."
    )
    demo: Annotated[Literal["on", "off"], Lowered] = setting(
        "on", "Listening", "Whether browsers get a playground page at /."
    )

    broker_url: BrokerUrl = setting("memory://", "Bus", "Where the bus is; memory:// is one gateway alone.")
    broker_prefix: BrokerPrefix = setting(
        "relay:", "Bus", "Prefix of every channel on Redis, so that deployments can share one."
    )
    broker_ca_file: CaFile | None = setting(
        None, "Bus", "Authority to trust for rediss://. Not set: those of the system."
    )
    broker_timeout: Annotated[float, Range("seconds", 0.1, 60)] = setting(
        3.0, "Bus", "Seconds to connect, and of silence before the link counts as dead."
    )
    probe_interval: Annotated[float, Range("seconds", 0.1, 60)] = setting(
        1.0, "Bus", "Seconds between probes of the bus from end to end."
    )
    publish_timeout: Annotated[float, Range("seconds", 0, 3600)] = setting(
        5.0, "Bus", "Seconds a publisher is slowed while the bus is away, before it is closed with 1013."
    )

    max_message_bytes: Annotated[int, Range("bytes", 1, 67_108_864)] = setting(
        65_536, "Messages", "Largest message of a client; a larger one closes it with 1009."
    )
    publish_buffer_bytes: Annotated[int, Range("bytes", 1024, 2**40)] = setting(
        16_777_216, "Messages", "Bytes of messages that wait for the bus: half for WebSockets, the rest for HTTP."
    )
    send_buffer_bytes: Annotated[int, Range("bytes", 1024, 2**30)] = setting(
        1_048_576, "Messages", "Bytes that may wait for one client before it counts as slow."
    )
    slow_consumer: Annotated[Literal["close", "drop"], Lowered] = setting(
        "close", "Messages", "A slow client is closed with 1013, or its newest messages are dropped and counted."
    )
    write_timeout: Annotated[float, Range("seconds", 0.1, 3600)] = setting(
        30.0, "Messages", "Seconds without any progress of a client's buffer before it is closed."
    )
    write_delay: Annotated[float, Range("milliseconds", 0, 1000)] = setting(
        0.0, "Messages", "Milliseconds between two writes to clients under load; more saves CPU."
    )
    default_channel: ChannelName = setting("lobby", "Messages", "Channel of clients that connect to / or /ws.")
    welcome: Text | None = setting(None, "Messages", "First text message to each client. Not set: none.")

    api_keys: ApiKeys | None = setting(
        None, "Server API", "Keys that open /api to back ends, several for rotation. Not set: /api is off."
    )

    ping_interval: Annotated[float, Range("seconds", 0.1, 3600)] = setting(
        25.0, "Keepalive", "Seconds between two pings of a client."
    )
    ping_timeout: Annotated[float, Range("seconds", 0.1, 3600)] = setting(
        10.0, "Keepalive", "Seconds a client has to answer a ping; at most the interval."
    )

    drain_delay: Annotated[float, Range("seconds", 0, 3600)] = setting(
        0.0, "Stopping", "Seconds between turning unready and refusing new clients."
    )
    drain_seconds: Annotated[float, Range("seconds", 0, 3600)] = setting(
        5.0, "Stopping", "Seconds over which clients are closed at an even pace."
    )

    log_level: Annotated[Literal["debug", "info", "warning", "error"], Lowered] = setting(
        "info", "Process", "Least important log entries to write."
    )
    log_format: Annotated[Literal["auto", "console", "json"], Lowered] = setting(
        "auto", "Process", "How log entries look; auto: console on a terminal, JSON elsewhere."
    )
    event_loop: Annotated[Literal["auto", "uvloop", "asyncio"], Lowered] = setting(
        "auto", "Process", "Event loop of `relay serve`; auto: uvloop when it is installed."
    )
    workers: Workers = setting(
        1, "Process", "Processes of `relay serve` that share the port; auto: one for each processor. Needs Redis."
    )
    worker_timeout: Annotated[float, Range("seconds", 1, 3600)] = setting(
        5.0, "Process", "Seconds that a worker process may be silent before it is replaced."
    )
    revision: Text | None = setting(None, "Process", "What was built, such as a commit; shown in relay_build_info.")

    # Hidden from type checkers: they derive a keyword with its type from each field.
    if not TYPE_CHECKING:

        def __init__(self, **overrides: Any) -> None:
            if unknown := sorted(set(overrides) - set(type(self).model_fields)):
                raise TypeError(f"not a setting: {', '.join(unknown)}")
            broken: list[SettingProblem] = []
            try:
                broken = broken_lines(ENV_FILE)
                with quiet_dotenv():
                    super().__init__(**overrides)
            except ValidationError as error:
                raise SettingsError([*broken, *problems(type(self), error)]) from None
            except (OSError, UnicodeDecodeError) as error:
                problem = SettingProblem(ENV_FILE, in_words(error), "a readable UTF-8 file of NAME=value lines")
                raise SettingsError([problem]) from None
            if broken:
                raise SettingsError(broken)

    def __repr_args__(self) -> Iterator[tuple[str, object]]:
        """Mask passwords, because a repr ends up in tracebacks and logs."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            yield name, mask_credentials(value) if isinstance(value, str) else value

    # Pydantic gives a validator only those earlier fields that are valid. So problems of two fields together are
    # reported with all others, and never for a field that is reported already.

    @field_validator("port", "metrics_port", mode="before")
    @classmethod
    def _not_a_service_link(cls, value: object) -> object:
        """Explain a value of Kubernetes, which sets RELAY_PORT in every pod of a namespace with a Service `relay`."""
        if isinstance(value, str) and value.startswith("tcp://"):
            raise ValueError("this is a Kubernetes service link; set enableServiceLinks: false")
        return value

    @field_validator("metrics_port")
    @classmethod
    def _not_the_clients_port(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and value == info.data.get("port"):
            raise ValueError(f"not {PREFIX}PORT, which is {value}; leave it out to have metrics there")
        return value

    @field_validator("broker_ca_file")
    @classmethod
    def _only_with_tls(cls, value: str | None, info: ValidationInfo) -> str | None:
        url = info.data.get("broker_url", "rediss:")
        if value is not None and not schemes.find(url).tls:
            tls = [name for name, scheme in schemes.SCHEMES.items() if scheme.tls]
            raise ValueError(f"{PREFIX}BROKER_URL does not start with {schemes.in_words(tls)}")
        if value is not None and "ssl_ca_certs=" in url:
            raise ValueError(f"not besides the ssl_ca_certs of {PREFIX}BROKER_URL")
        return value

    @field_validator("publish_buffer_bytes", "send_buffer_bytes")
    @classmethod
    def _room_for_a_message(cls, value: int, info: ValidationInfo) -> int:
        """Refuse a buffer that is smaller than the largest allowed message."""
        if value < (largest := info.data.get("max_message_bytes", 0)):
            raise ValueError(f"at least {PREFIX}MAX_MESSAGE_BYTES, which is {largest}")
        return value

    @field_validator("ping_timeout")
    @classmethod
    def _within_the_interval(cls, value: float, info: ValidationInfo) -> float:
        if value > (interval := info.data.get("ping_interval", value)):
            raise ValueError(f"at most {PREFIX}PING_INTERVAL, which is {interval:g}")
        return value

    @field_validator("workers")
    @classmethod
    def _connected_by_a_bus(cls, value: int | str, info: ValidationInfo) -> int | str:
        """Refuse several processes where no bus connects them, or where they can't share a port."""
        if value == 1:
            return value
        url = info.data.get("broker_url")
        if url is not None and not schemes.find(url).connects_processes:
            name = schemes.name_of(url)
            raise ValueError(f"more than 1 needs Redis: {name}:// connects no processes, see {PREFIX}BROKER_URL")
        if sys.platform != "linux":
            raise ValueError("more than 1 needs Linux, whose kernel spreads clients over processes")
        return value

    @field_validator("event_loop")
    @classmethod
    def _installed(cls, value: str) -> str:
        if value == "uvloop" and find_spec("uvloop") is None:
            raise ValueError("the extra 'uvloop' is not installed: pip install 'relay-pubsub[uvloop]'")
        return value
