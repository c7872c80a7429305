"""A switch in a namespace of its own, one cable to this machine and one to each host. No route leads out."""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.command import run

SWITCH = "sw"


@dataclass(frozen=True)
class Network:
    """The wires of one lab: 10.123.OCTET.0/24, this machine is .1 and hosts count from .11."""

    lab: str
    octet: int

    @property
    def gateway(self) -> str:
        """This machine's address as the hosts see it."""
        return self.address(1)

    def address(self, number: int) -> str:
        return f"10.123.{self.octet}.{number}"

    def namespace(self, host: str) -> str:
        return f"{self.lab}-{host}"

    def up(self) -> None:
        switch = self.namespace(SWITCH)
        run(["ip", "netns", "add", switch])
        _switch(switch, "link", "add", "name", "br0", "type", "bridge")
        _switch(switch, "link", "set", "dev", "br0", "up")
        run(["ip", "link", "add", "name", self.lab, "type", "veth", "peer", "name", "machine", "netns", switch])
        _switch(switch, "link", "set", "dev", "machine", "master", "br0", "up")
        run(["ip", "address", "add", f"{self.gateway}/24", "dev", self.lab])
        run(["ip", "link", "set", "dev", self.lab, "up"])

    def plug(self, host: str, number: int) -> None:
        """Make the namespace of ``host`` with its end of a cable, ``eth0``."""
        switch, own = self.namespace(SWITCH), self.namespace(host)
        run(["ip", "netns", "add", own])
        # The same for each host that ever has this number: what others remember of the last one stays true.
        mac = f"02:00:0a:7b:{self.octet:02x}:{number:02x}"
        veth = ["type", "veth", "peer", "name", "eth0", "address", mac, "netns", own]
        _switch(switch, "link", "add", "name", host, *veth)
        _switch(switch, "link", "set", "dev", host, "master", "br0", "up")
        run(["ip", "-n", own, "address", "add", f"{self.address(number)}/24", "dev", "eth0"])
        run(["ip", "-n", own, "link", "set", "dev", "eth0", "up"])
        run(["ip", "-n", own, "link", "set", "dev", "lo", "up"])

    def unplug(self, host: str) -> None:
        """Remove the namespace of ``host`` and its cable."""
        run(["ip", "-n", self.namespace(SWITCH), "link", "delete", "dev", host], check=False)
        run(["ip", "netns", "delete", self.namespace(host)])

    def cut(self, host: str) -> None:
        """Pull the cable: packets vanish, no connection is refused."""
        _switch(self.namespace(SWITCH), "link", "set", "dev", host, "down")

    def heal(self, host: str) -> None:
        _switch(self.namespace(SWITCH), "link", "set", "dev", host, "up")


def namespaces(lab: str) -> list[str]:
    """The network namespaces of ``lab`` on this machine."""
    listed = run(["ip", "netns", "list"]).out.splitlines()
    return [name for name in (line.split()[0] for line in listed if line) if name.startswith(f"{lab}-")]


def remove(lab: str) -> None:
    """Remove every namespace and cable of ``lab``, whoever made them."""
    run(["ip", "link", "delete", "dev", lab], check=False)
    for name in namespaces(lab):
        run(["ip", "netns", "delete", name])


def _switch(switch: str, *words: str) -> None:
    run(["ip", "-n", switch, *words])
