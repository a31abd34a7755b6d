"""The demo: pictures whose truth is known, the questions about them, and the script that runs the whole way."""
