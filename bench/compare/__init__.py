"""What a change costs: the working tree beside another commit, in pairs of runs on one machine."""
