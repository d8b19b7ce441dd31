"""Onetime: share a secret once."""

__version__ = "0.1.0"
