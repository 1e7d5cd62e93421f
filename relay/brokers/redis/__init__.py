"""The bus over Redis pub/sub, and publishers that need no gateway."""
