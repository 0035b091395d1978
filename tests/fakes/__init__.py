"""Stand-ins for what a test cannot have for real: services of clouds, hosts, programs."""
