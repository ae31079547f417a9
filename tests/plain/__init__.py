"""Plain implementations, straight from the published equations: slow, obvious, the yardstick for the fast ones."""
