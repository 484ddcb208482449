"""The networks of learned policies; those for sets serve any number of satellites and gateways."""
