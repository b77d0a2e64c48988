"""Operators at a browser: signing in with the admin token, and staying signed in on every replica."""
