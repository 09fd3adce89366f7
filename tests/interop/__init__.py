"""Our feeds, read by programs that share no code with them: `make interop`."""
