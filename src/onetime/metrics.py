"""Counters, none of which can name a person."""
