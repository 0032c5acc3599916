"""What the operators' commands share: asking a running server at its admin listener, and showing what it says."""
