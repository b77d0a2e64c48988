"""The `stanchion` command."""
