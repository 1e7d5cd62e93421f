"""The official SDKs of Centrifuge, driven through faults of two servers and their Redis."""
