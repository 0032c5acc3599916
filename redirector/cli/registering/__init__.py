"""The commands below `redirector registry`."""
