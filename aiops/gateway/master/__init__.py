"""The process that forks: it holds the listening socket and serves nothing itself."""
