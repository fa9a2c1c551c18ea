"""The operator's console: a local web page that watches and steers a running session."""
