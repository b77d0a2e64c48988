"""Housekeeping that every replica runs and one leads."""
