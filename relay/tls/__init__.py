"""TLS without sockets: certificates from files, what a client says first, and why its handshake fails."""
