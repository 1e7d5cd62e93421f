"""The stack of docker-compose.yml, for real: needs a Docker engine, so `make test` leaves it out."""
