"""Everything that must hold, as code that can fail."""
