"""What it means: alignment, gaze, face, per-stimulus summaries and reports."""
