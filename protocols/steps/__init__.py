"""The kinds of step: what each shows, marks and waits for. One file each, listed in `registry`."""
