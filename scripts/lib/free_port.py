"""Exit 0 when the gateway can have the port, 4 naming its owner when not. Usage: free_port.py PORT"""

from __future__ import annotations

import sys

from aiops.host.ports import can_bind, owners


def main(port: int) -> int:
    if can_bind("127.0.0.1", port):
        return 0
    who = " and ".join(str(owner) for owner in owners(port)) or "somebody"
    print(f"error: port {port} is taken by {who}", file=sys.stderr)
    print("hint: scripts/quickstart --port N picks another one", file=sys.stderr)
    return 4


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
