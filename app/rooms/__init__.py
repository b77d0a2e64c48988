"""Waiting rooms: positions, windows, snapshots, healing."""
