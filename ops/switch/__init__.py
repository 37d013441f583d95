"""The switch agent: it stands beside the edge and moves web traffic, workers and beat as one."""
