"""What a run is to do, decided before it starts."""
