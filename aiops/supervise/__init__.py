"""How a gateway is kept running: detached, by systemd, in a container; and in which runtime."""
