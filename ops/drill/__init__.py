"""Recovery drills: where one takes place, what it restores, how the result is tried, in order."""
