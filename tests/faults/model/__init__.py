"""A model of a relay that keeps its promises, whose histories the judge has to find right."""
