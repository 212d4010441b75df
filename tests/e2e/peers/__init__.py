"""What the daemons meet in the tests: processes, a Redis, a slow service, clients."""
