"""The coordinator: it starts the workers, leads them through the phases of a run, and adds up what they report."""
