"""Who is connected: clients of all kinds, from the end of their handshake."""
