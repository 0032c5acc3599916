"""From the registry to the files that servers answer from."""
