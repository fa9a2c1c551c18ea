"""Eye movements: validity, degrees, events, pupil and features per stimulus."""
