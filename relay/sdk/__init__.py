"""A client of gateways for Python programs: it listens over server-sent events, and publishes over HTTP.

    client.py               what programs use
    subscription.py         one channel: comes back after each break, and goes on where it was
    event_source.py         asks for a stream of events; event_connection.py: one stream, event_reader.py: what it says
    http_publisher.py       sends messages
    token_source.py, backoff.py, refusal.py, connection_failure.py, gateway_address.py, received_message.py, errors.py

The package knows nothing of the server: it speaks by docs/protocol.md alone.
"""
