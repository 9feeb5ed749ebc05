"""Cases of the techniques' losses: written as those of the ops in tinygrad_lite.checking.cases."""

CASES = []
