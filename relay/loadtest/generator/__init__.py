"""The load generator: one worker process with its virtual clients and publishers."""
