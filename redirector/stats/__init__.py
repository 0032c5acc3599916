"""What clients asked for: from lines of access logs to counts, and from counts to tables and pictures."""
