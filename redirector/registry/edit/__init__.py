"""Every change to the registry, by whatever way it comes: API, form, command or import."""
