"""The load test: clients of its own that count every message. It shares no frame or fan-out code with the gateway."""
