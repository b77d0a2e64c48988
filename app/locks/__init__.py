"""ID locks: leases handed over in order of arrival, with fencing tokens."""
