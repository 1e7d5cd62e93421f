"""The fan-out past the transports: the bytes that a group of subscribers shares, to all of their sockets in one call.

The only native code of the relay is here; `docs/architecture.md` says why. Such a write needs two things: nothing may
wait in the socket's transport, or bytes would overtake others; and the descriptor must still be that of the same
socket, or they would go to another client. Clients keep both up to date themselves, see `DirectSubscriber`.
"""
