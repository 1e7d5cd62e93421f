"""What one client of the Centrifuge protocol says, and what it is told; see also `relay.protocols.centrifuge.state`."""

from __future__ import annotations

from functools import partial
from typing import Any, Final, Literal, cast

from relay.errors import CustomDisconnect, Disconnect, ProtocolError, RelayError
from relay.message import Encoder, Kind, Message
from relay.namespaces import ChannelOptions
from relay.position import Position
from relay.protocols import CloseMessage, Session
from relay.protocols.centrifuge import codes, pushes
from relay.protocols.centrifuge.channel_commands import CHANNEL_COMMANDS
from relay.protocols.centrifuge.command_order import CommandOrder
from relay.protocols.centrifuge.commands import Command, ConnectRequest
from relay.protocols.centrifuge.connect_command import ConnectCommand, refresh
from relay.protocols.centrifuge.exchange import Exchange
from relay.protocols.centrifuge.failures import close_of
from relay.protocols.centrifuge.procedure_calls import call
from relay.protocols.centrifuge.results import ConnectResult
from relay.protocols.centrifuge.state import State
from relay.protocols.centrifuge.subscriptions import tell_subscribed, ttl
from relay.protocols.centrifuge.unread import COMMANDS_PER_TURN, Unread
from relay.protocols.centrifuge.wire import JoinLeave, Wire
from relay.protocols.multiplexed import MultiplexedSession, ServerSubscription, Subscribed
from relay.protocols.request import ConnectRequest as OpeningRequest
from relay.replay import Replay

REQUESTS: Final = tuple(name for name in Command.__struct_fields__ if name != "id")

_NONE: Final[frozenset[str]] = frozenset()


class Centrifuge:
    """One client; see `relay.protocols.multiplexed.MultiplexedProtocol`.

    Args:
        wire: how it is written to.
        opening: the request that has opened the connection.

    Attributes:
        wire: see above.
        session: the client's; set when it is there.
    """

    __slots__ = ("_opening", "_order", "_pings", "_server_side", "_state", "_unread", "session", "wire")

    transport: str = "websocket"
    multiplexed = True
    connects_by_message = True
    channel = None
    echo = True
    resume = 0
    first = b""

    session: MultiplexedSession

    def __init__(self, wire: Wire, opening: OpeningRequest) -> None:
        self.wire = wire
        # Forgotten when it is known who the client is: its headers take 2 KB.
        self._opening: OpeningRequest | None = opening
        self._state = State.NEW
        self._order = CommandOrder()
        # What is left of what the client has sent; None: nothing, or it is being carried out in this call.
        self._unread: Unread | None = None
        # How many pings are not answered yet: a client that reads late may have several.
        self._pings = 0
        # Channels to which the client is subscribed without having asked; None: none.
        self._server_side: set[str] | None = None

    @property
    def format(self) -> Literal["json", "protobuf"]:
        """What its data are."""
        return self.wire.format.name

    @property
    def new(self) -> bool:
        """Whether the client has not said yet who it is."""
        return self._state is State.NEW

    @property
    def ended(self) -> bool:
        """Whether what the client says is ignored."""
        return self._state is State.ENDED

    @property
    def encode(self) -> Encoder:
        """Encoder of messages; see `encoder`."""
        return self.wire.encode

    @property
    def presence(self) -> JoinLeave:
        """How the client hears who comes and who goes."""
        return self.wire.join_leave

    @property
    def server_side(self) -> set[str]:
        """Channels to which the client is subscribed without having asked."""
        if self._server_side is None:
            self._server_side = set()
        return self._server_side

    def release(self) -> None:
        """Let go of the session, and of what is left."""
        self._state, self._unread, self._opening = State.ENDED, None, None
        del self.session

    def encoder(self, options: ChannelOptions) -> Encoder:
        """Return the encoder of the messages of channels with such options."""
        return self.wire.encode if options.no_json == "string" else self.wire.encode_strictly

    def opened(self, session: Session, welcome: Message | None) -> bytes:
        """Say nothing: the client speaks first."""
        self.session = cast(MultiplexedSession, session)
        return b""

    def resumed(self, session: Session, replay: Replay | None) -> bytes:
        """Say nothing: no channel is subscribed to before."""
        return b""

    def received(self, session: Session, kind: Kind, payload: bytes) -> None:
        """Carry out commands, as many as fit into a turn; a message that has several ends the turn of its client.

        Raises:
            ProtocolError: they are none, or not in order.
        """
        if self.ended:
            return
        if self._unread is not None:
            self._unread.add(payload)
            return
        taken = self._carry_out_some(Unread(self.wire.format, payload))
        if taken > 1 and not self.ended:
            self.session.count(taken - 1)
            self.session.pause()
            self.session.take_turn()

    def go_on(self, session: MultiplexedSession) -> int:
        """Carry out some of the commands that are left; see `MultiplexedProtocol`."""
        taken = 0 if self._unread is None else self._carry_out_some(self._unread)
        if self._unread is None and not self.ended:
            session.resume()
        return taken

    def exchange(self, id_: int, kind: str) -> Exchange:
        """Return what answers a command."""
        return Exchange(self, id_, kind)

    def complete(self, result: ConnectResult) -> ConnectResult:
        """Return the answer to `connect` with what depends on how the client is connected."""
        return result

    def answered(self, kind: str, reply: bytes) -> None:
        """Write the reply to a command; those that wait go on in a turn of their own. See `Exchange`."""
        if reply:
            self._order.full = self.session.reply(reply)
        self._order.answered(kind)
        if self._unread is None:
            return
        if self.ended:
            self._unread = None  # `connect` was refused: what waits is ignored, as all that comes
            self.session.resume()
        else:
            self.session.take_turn()

    def writable(self) -> None:
        """Go on with commands that have waited for the client to take what was written."""
        self._order.full = False
        if self._unread is not None:
            self.session.take_turn()

    # What the server wants.

    def missed(self, session: Session, channel: str, position: Position | None) -> bytes | Disconnect:
        """End the subscription: the client subscribes again, and recovers what it can.

        One that it has not asked for ends with the connection. Where it counts, nothing comes until then.
        """
        if channel in (self._server_side or _NONE):
            if position is None:
                return Disconnect.MISSED
            self.session.fall_silent(channel)
            return b""
        self.session.unsubscribe(channel)
        return self.wire.push(channel, codes.UNSUBSCRIBE_INSUFFICIENT_STATE)

    def unsubscribed(self, session: Session, channel: str) -> None:
        """Tell the client that a back end has ended a subscription."""
        self.server_side.discard(channel)
        self.session.send(self.wire.push(channel, codes.UNSUBSCRIBE_SERVER))

    def subscribed(self, session: Session, channel: str, subscription: ServerSubscription) -> Subscribed:
        """Return what tells the client of a subscription that a back end has wanted."""
        return partial(tell_subscribed, self, channel, subscription)

    def renewed(self, session: Session, seconds: float | None) -> None:
        """Tell the client that a back end lets it stay for longer, or for less long."""
        if self._state is State.CONNECTED:
            self.session.send(self.wire.push("", pushes.Refresh(seconds is not None, ttl(seconds))))

    def expired(self, session: Session, channel: str) -> None:
        """Tell the client that its right to a channel has ended; it can't subscribe again where the server did."""
        if channel in (self._server_side or _NONE):
            self.session.close(Disconnect.SUBSCRIPTION_EXPIRED)
            return
        self.session.send(self.wire.push(channel, codes.UNSUBSCRIBE_EXPIRED))

    def ping(self) -> bytes | None:
        """Return an empty reply, which the client answers with an empty command; None: it doesn't know that yet."""
        if self._state is not State.CONNECTED:
            return None
        self._pings += 1
        return self.wire.ping

    def closing(self, why: Disconnect | CustomDisconnect) -> CloseMessage:
        """Return the code of this protocol."""
        if why is Disconnect.TOKEN_EXPIRED and self._state is State.CONNECTING:
            why = Disconnect.UNAVAILABLE  # the client has said who it is; the relay could not find it out in time
        elif why is Disconnect.TOKEN_EXPIRED and self._state is not State.CONNECTED:
            why = Disconnect.CONNECT_TIMEOUT
        self._state, self._unread, close = State.ENDED, None, close_of(why)
        return CloseMessage(close.code, close.reason)

    # How commands are carried out.

    def _carry_out_some(self, unread: Unread) -> int:
        """Carry out commands until a turn is over, or one has to wait; return how many.

        Meanwhile they are nowhere but here: what is answered at once must not begin the next one.
        """
        self._unread, taken = None, 0
        try:
            while not self.ended and (command := unread.first()) is not None:
                full = taken == COMMANDS_PER_TURN
                if full or not self._take(command):
                    self._unread = unread
                    self.session.pause()
                    if full:
                        self.session.take_turn()
                    break
                unread.take()
                taken += 1
        except ProtocolError:
            if self._order.idle:
                raise
            self._unread = unread  # what stands in front of the fault is answered first
            self.session.pause()
        return taken

    def _take(self, command: Command) -> bool:
        """Carry out a command; return False if it has to wait for those before."""
        for kind in REQUESTS:
            if (request := getattr(command, kind)) is not None:
                break
        else:
            self._take_pong(command)
            return True
        if kind == "send":
            raise ProtocolError(Disconnect.NOT_AVAILABLE, "send")
        if not command.id:
            raise ProtocolError(Disconnect.UNEXPECTED_DATA, f"{kind} without an id")
        if (kind == "connect") is not (self._state is State.NEW):
            raise ProtocolError(Disconnect.UNEXPECTED_DATA, f"{kind} as {self._state.name.lower()}")
        if not self._order.begin(kind):
            return False
        self._carry_out(kind, self.exchange(command.id, kind), request)
        return True

    def _take_pong(self, command: Command) -> None:
        if command.id or not self._pings:
            raise ProtocolError(Disconnect.UNEXPECTED_DATA, "a pong without a ping, or a command without a request")
        self._pings -= 1

    def _carry_out(self, kind: str, exchange: Exchange, request: Any) -> None:
        if kind == "connect":
            self._connect(exchange, request)
        elif kind == "refresh":
            refresh(exchange, request.token)
        elif kind == "rpc":
            call(exchange, request)
        elif (carry_out := CHANNEL_COMMANDS.get(kind)) is None or not request.channel:
            exchange.close(Disconnect.UNEXPECTED_DATA)
        else:
            try:
                carry_out(exchange, request)
            except RelayError as failure:
                exchange.fail(failure)

    def _connect(self, exchange: Exchange, request: ConnectRequest) -> None:
        opening, self._opening, self._state = self._opening, None, State.CONNECTING
        assert opening is not None
        ConnectCommand(exchange, request, self._become).begin(opening)

    def _become(self, connected: bool) -> None:
        self._state = State.CONNECTED if connected else State.ENDED
