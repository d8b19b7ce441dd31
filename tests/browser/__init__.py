"""Whole journeys in a real browser against a live server, with script and without.

A package, so that the one browser is closed before other tests run: Playwright's synchronous interface keeps an event loop
of its own in this thread.
"""
