"""The same work here and in peers, as ratios; and the figures that need many seeds."""
