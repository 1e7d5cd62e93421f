"""What a gateway sends to the others on the control channels, and what it does with their messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from msgspec.structs import replace

from relay.brokers import Published
from relay.control.blocked_users import BlockedUsers
from relay.control.client_commands import Client, ClientCommands
from relay.control.commands import BlockCommand
from relay.control.forwarding import Forwarding
from relay.control.messages import (
    CONTROL_CHANNEL,
    MAX_NAME_LETTERS,
    Broadcast,
    ControlMessageError,
    EmulationCommand,
    ForgetHistoryCommand,
    NodeAnnouncement,
    NodeInfo,
    NodeShutdown,
    SurveyReply,
    SurveyRequest,
    ToInbox,
    UnblockCommand,
    decode_broadcast,
    decode_inbox,
    encode,
    inbox,
)
from relay.control.nodes import ANNOUNCE_SECONDS, KnownNodes
from relay.control.responder import SurveyResponder
from relay.control.surveys import SURVEY_SECONDS, Surveys
from relay.errors import PublishError, SubscribeError
from relay.logs import Logger
from relay.message import Message
from relay.node import Node
from relay.version import __version__

log = Logger("relay.control")


class Control:
    """Sends commands and surveys to all gateways, and carries out and answers theirs.

    Args:
        node: hub and broker of this gateway.
        clients: all clients of this gateway.
        take_in: takes what a client says that is known by a token; see `Forwarding`.
        survey_seconds: how long a survey waits for replies.
        announce_seconds: between two announcements of this gateway, where gateways announce themselves.

    Attributes:
        uid: id of this gateway, 16 hexadecimal digits.
        blocked_users: which users this gateway refuses.
        forwarding: hands over what clients say to the gateways that have them.
    """

    def __init__(
        self,
        node: Node,
        clients: Collection[Client],
        take_in: Callable[[str, bytes], object],
        *,
        survey_seconds: float = SURVEY_SECONDS,
        announce_seconds: float = ANNOUNCE_SECONDS,
    ) -> None:
        self.uid = node.id.hex()
        self._node = node
        self._clients = clients
        self._announce_seconds = announce_seconds
        self._name = ""
        self._loop = asyncio.get_running_loop()
        self._started_at = self._loop.time()
        self._client_commands = ClientCommands(clients, node.id)
        self.blocked_users = BlockedUsers(node, self._client_commands.add)
        self._responder = SurveyResponder(node.hub, self._info, self._reply)
        # None where the bus counts the gateways; see `relay.control.nodes`.
        self._nodes = None if node.counts_all_receivers else KnownNodes(self.uid, self._loop.time, announce_seconds)
        self.forwarding = Forwarding(self.uid, take_in, self._nodes)
        self._surveys = Surveys(self.uid, self.send, self._nodes, survey_seconds)
        self._not_subscribed = 0
        self._leaving = False
        self._announce_timer: asyncio.TimerHandle | None = None
        self._announced: asyncio.Future[Published] | None = None

    def start(self, name: str) -> None:
        """Subscribe to the control channels, for as long as the node lives.

        Args:
            name: of this gateway, for people.
        """
        self._name = name[:MAX_NAME_LETTERS]
        handlers = {CONTROL_CHANNEL: self._receive, inbox(self.uid): self._receive_in_inbox}
        self._not_subscribed = len(handlers)
        for channel, handler in handlers.items():
            self._node.listen(channel, handler).add_done_callback(self._subscribed)

    def leave(self) -> None:
        """Tell the other gateways that this one leaves, where gateways announce themselves."""
        self._stop_announcing()
        if self._nodes is not None:
            self.send(NodeShutdown(uid=self.uid))

    def stop(self) -> None:
        """Do nothing more."""
        self._stop_announcing()
        self._client_commands.stop()
        self._responder.stop()

    def send(self, message: Broadcast) -> asyncio.Future[Published]:
        """Send a message to all gateways, this one included.

        Returns:
            A future of what became of it; see `Node.submit`.
        """
        return self._node.submit(Message(CONTROL_CHANNEL, encode(message)))

    async def block_user(self, user: str, until: float) -> asyncio.Future[Published]:
        """Block a user for all gateways, and close its clients.

        Args:
            user: its name.
            until: seconds since 1970.

        Returns:
            As `send`.

        Raises:
            TooManyBlocked, BlockStoreError: see `BlockStore.block`.
        """
        return self.send(await self.blocked_users.block(user, until))

    async def unblock_user(self, user: str) -> asyncio.Future[Published]:
        """Unblock a user for all gateways; see `block_user`."""
        return self.send(await self.blocked_users.unblock(user))

    async def remove_history(self, channel: str) -> asyncio.Future[Published]:
        """Remove the messages of a channel, on the bus and in all gateways.

        Args:
            channel: its name.

        Returns:
            As `send`.

        Raises:
            HistoryError: see `HistoryStore.remove`.
        """
        await self._node.history.remove(channel)
        return self.send(ForgetHistoryCommand(channel=channel))

    async def survey(self, pattern: str | None = None) -> list[SurveyReply]:
        """Ask all gateways about their channels, or about themselves; return the replies of all.

        Args:
            pattern: which channels; None: about themselves.

        Raises:
            SurveyError: not all of them replied in time.
            PublishError: the request was not, or perhaps not, sent.
        """
        return await self._surveys.ask(pattern)

    def _receive(self, message: Message) -> None:
        """Carry out, answer or note a message to all gateways."""
        try:
            received = decode_broadcast(message.payload)
            if isinstance(received, SurveyRequest):
                self._responder.add(received)
            elif isinstance(received, NodeAnnouncement):
                if self._note(received) and received.uid != self.uid and not self._leaving:
                    self._send_to(received.uid, self._announcement)
            elif isinstance(received, NodeShutdown):
                self._forget(received.uid)
            elif isinstance(received, ForgetHistoryCommand):
                self._node.recoveries.forget_history(received.channel)
            else:
                if isinstance(received, BlockCommand | UnblockCommand):
                    self.blocked_users.carry_out(received)
                if not isinstance(received, UnblockCommand):
                    self._client_commands.add(received)
        except ControlMessageError as error:
            self._refuse(error)

    def _receive_in_inbox(self, message: Message) -> None:
        """Note a message to this gateway alone."""
        if not self._surveys and self._nodes is None and not Forwarding.is_one(message.payload):
            return  # a reply that came too late
        try:
            received = decode_inbox(message.payload)
            if isinstance(received, NodeAnnouncement):
                self._note(received)
            elif isinstance(received, EmulationCommand):
                self.forwarding.receive(received)
            else:
                self._surveys.add(received)
        except ControlMessageError as error:
            self._refuse(error)

    def _refuse(self, error: ControlMessageError) -> None:
        self._node.counters.bus_errors += 1
        log.warning("control message refused", error=str(error))

    def _note(self, announcement: NodeAnnouncement) -> bool:
        """Note that a gateway is there; return whether it is new."""
        return self._nodes is not None and self._nodes.announced(announcement.uid, announcement.name)

    def _forget(self, uid: str) -> None:
        """Expect nothing more of a gateway that leaves."""
        if self._nodes is not None:
            self._nodes.left(uid)
            self._surveys.drop(uid)

    def _subscribed(self, acknowledged: asyncio.Future[None]) -> None:
        """Begin to announce this gateway when it has all its channels: not before it can reply to surveys."""
        if acknowledged.cancelled():
            return
        if isinstance(error := acknowledged.exception(), SubscribeError):
            # The server API can't reach clients of this gateway.
            log.error("control channel refused", error=str(error))
            return
        self._not_subscribed -= 1
        if self._nodes is not None and not self._not_subscribed and not self._leaving:
            self._announce()

    @property
    def _announcement(self) -> NodeAnnouncement:
        return NodeAnnouncement(uid=self.uid, name=self._name)

    def _announce(self) -> None:
        """Tell all gateways that this one is there, from now on at every interval."""
        self._announce_timer = self._loop.call_later(self._announce_seconds, self._announce)
        if self._announced is None or self._announced.done():  # only one waits while the bus is away
            self._announced = self.send(self._announcement)

    def _stop_announcing(self) -> None:
        self._leaving = True
        if self._announce_timer is not None:
            self._announce_timer.cancel()

    def _send_to(self, uid: str, message: ToInbox) -> asyncio.Future[Published]:
        """Send a message to one gateway."""
        return self._node.submit(Message(inbox(uid), encode(message)))

    def _reply(self, asker: str, reply: SurveyReply) -> None:
        """Send a reply to the gateway that asks."""
        if self._nodes is not None:
            reply = replace(reply, uid=self.uid)
        self._send_to(asker, reply).add_done_callback(_report_failure)

    def _info(self) -> NodeInfo:
        """Describe this gateway."""
        clients = self._clients
        return NodeInfo(
            uid=self.uid,
            name=self._name,
            version=__version__,
            num_clients=len(clients),
            num_users=len({client.session.user for client in clients} - {None}),
            num_subs=sum(len(client.session.channels) for client in clients),
            num_channels=len(self._node.hub),
            uptime=int(self._loop.time() - self._started_at),
        )


def _report_failure(published: asyncio.Future[Published]) -> None:
    if isinstance(error := published.exception(), PublishError):
        log.warning("answer to another gateway lost", error=str(error))
