"""Stanchion: a virtual waiting room on Redis, with ID locks and a task queue behind it."""

__version__ = "0.1.0"
