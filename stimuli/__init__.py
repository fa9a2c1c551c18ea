"""What is shown: stimulus sets, norms, checks and the bundled demonstration set."""
