"""What goes wrong in a run: a family of faults in each module."""
