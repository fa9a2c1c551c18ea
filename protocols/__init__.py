"""How it is shown: declarative protocols, seeded schedules, displays, ratings and markers."""
