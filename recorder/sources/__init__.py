"""Sources of samples: eye trackers, cameras, their simulated twins, each in its own process."""
