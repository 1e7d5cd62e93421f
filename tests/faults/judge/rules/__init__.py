"""What is promised, one rule in each module: a function that yields how it was broken."""
