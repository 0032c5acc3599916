"""The commands below `redirector mirror`."""
