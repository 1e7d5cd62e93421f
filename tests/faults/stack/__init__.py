"""What faults happen to: gateways, each between two networks, and a Redis with a replica."""
