"""Mirrorlists and metalinks for package managers, answered from memory."""

__version__ = "1.0.0"

__all__ = ["__version__"]
