"""The relay beside others of its kind: the same load on each, one after the other."""
