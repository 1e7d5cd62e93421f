"""The clients of a run: each keeps on whatever happens, as clients of the relay should, and records what it sees."""
