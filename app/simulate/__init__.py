"""Load on a running service, watched live, with the service's promises checked from outside: over HTTP only."""
