"""What a run showed: counts, latencies, verdict."""
