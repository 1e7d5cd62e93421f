"""The fan-out past the transports: the bytes that a group of subscribers shares, to all of their sockets in one call.

The only native code of the relay is here; `docs/architecture.md` says why. Whoever writes so to a socket must know two
things: that nothing waits for it in its transport, or bytes would overtake others; and that its descriptor is still the
same socket's, or they would go to another client. Clients keep both up to date themselves, see `DirectSubscriber`.
"""
