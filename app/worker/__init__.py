"""Task workers, which speak HTTP only."""
