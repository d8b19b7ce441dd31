"""Which language, and its words; for pages now, for mail and the terminal later."""
