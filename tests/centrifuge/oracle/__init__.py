"""Centrifugo itself as the oracle: the same scripts against it and against the relay, and every answer compared."""
