"""What is captured: LSL sources, the crash-safe journal, the session file and its reader."""
