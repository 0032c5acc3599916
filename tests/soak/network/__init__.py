"""The whole network for an hour: everybody dies now and then, and what clients get stays right."""
