"""Pages for everybody: the mirrors, how each is, and what was counted."""
