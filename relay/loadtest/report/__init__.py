"""The report for people: one HTML page that needs nothing but itself, and the summary on a terminal."""
