"""The only place that touches the machine: processes, files, credentials, the gateway's control socket."""
