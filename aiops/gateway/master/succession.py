"""When the master becomes another program or makes way for another process, and when it hands back or resumes."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from aiops.gateway.master import handover as handing
from aiops.gateway.master import passing
from aiops.gateway.master.control_socket import Refused
from aiops.gateway.master.group import Group
from aiops.gateway.master.handover import Handover
from aiops.gateway.master.listeners import Listeners
from aiops.gateway.master.notify import Notifier
from aiops.gateway.master.say import say
from aiops.gateway.master.workforce import Workforce
from aiops.gateway.shared import installed, messages, protocol
from aiops.gateway.shared.journald import WARNING
from aiops.gateway.worker import runtime

# Whoever asked for the handover may need this long after a failed change to say what happens next.
SAY_WITHIN = 10.0


class Succession:
    """``started_with`` is the environment as it was before aiops changed it; ``given`` what an earlier program left.

    ``link``: to the master of another container that left it, and sleeps until this one is approved of.
    """

    def __init__(
        self, started_with: Mapping[str, str], given: Handover | None, link: socket.socket | None = None
    ) -> None:
        self._started_with = started_with
        self._given = given
        self._link = link
        self._code = installed.code_digest(Path(__file__).parents[2])
        self._back_at: float | None = None  # monotonic; None: this program is here to stay
        self._wanted: tuple[str, str, float] | None = None  # interpreter, token, hold
        self._successor: tuple[protocol.Peer, str, float] | None = None  # with its token, hold
        self._gives_back = False

    # --- at the start -----------------------------------------------------------------------------------------

    def take_over(self, listeners: Listeners, workforce: Workforce, secrets: Path) -> socket.socket | None:
        """Go on with the sockets and workers of the program before. Returns the control socket, None without one."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
        if self._given is None:
            return None
        listeners.adopt(handing.sockets(self._given))
        for described in self._given.groups:
            try:
                public, apart = handing.address(described), handing.admin_address(described)
                admin = listeners.get(*apart) if apart is not None else None
                workforce.adopt(handing.group(described, listeners.get(*public), admin, secrets))
            except (OSError, ValueError, KeyError, TypeError) as error:
                # They serve on as workers without a master do, and leave when a generation of this program serves.
                say(f"the workers of {described.get('directory')} are left alone: {type(error).__name__}: {error}")
                handing.let_go(described)
        workforce.reap()  # those that ended while nobody could hear of it
        return handing.control(self._given)

    def arrived(self) -> None:
        """This program answers from now on."""
        if self._given is None:
            return
        self._watch_again()
        if self._given.hold:
            self._back_at = time.monotonic() + self._given.hold
        say(f"runs in {sys.prefix} now" + (f", because {self._given.error}" if self._given.error else ""))

    @property
    def is_to_be_proved(self) -> bool:
        """This program was given everything on approval: what it brings has to work, LiteLLM included."""
        return self._given is not None and self._given.hold > 0

    # --- while it runs ----------------------------------------------------------------------------------------

    def want(self, peer: protocol.Peer, request: messages.Handover, busy: bool) -> None:
        """To be done as soon as nothing is half done. Raises Refused when that cannot be."""
        if busy:
            raise Refused("a change is going on, or the gateway is stopping")
        if not isinstance(request, messages.Back) and self._link is not None:
            raise Refused("this master is on approval itself")
        if isinstance(request, messages.Succeed):  # what it is given is the answer
            self._successor = (peer, request.token, request.hold)
            return
        if isinstance(request, messages.Become):
            self._want_program(request)
        elif self._link is None:
            raise Refused("there is nobody to give back to")
        self._gives_back = isinstance(request, messages.Back)
        peer.send(messages.Answer().plain())

    def _want_program(self, request: messages.Become) -> None:
        python = request.python
        if not os.access(python, os.X_OK) or not Path(python).is_absolute():
            raise Refused(f"there is no interpreter {python}")
        self._wanted = (python, request.token, request.hold)

    def approve(self, by_somebody: bool) -> None:
        """A change was confirmed: this program stays, unless the change was its own."""
        if by_somebody:
            self._back_at = None
            if self._link is not None:
                passing.approve(self._link)
                self._link = None

    def lost(self) -> None:
        """Whoever is responsible is gone: back as soon as nothing is going on."""
        if self._back_at is not None:
            self._back_at = 0.0

    def consider(self, now: float, changing: bool) -> None:
        """Called once a turn. Decides to hand back when the time of approval has passed."""
        if self._back_at is None or self._given is None or self._wanted is not None or self._gives_back:
            return
        if changing:
            self._back_at = max(self._back_at, now + SAY_WITHIN) if self._back_at else 0.0
        elif now >= self._back_at:
            say("nobody approved of this runtime: back to the one before")
            if self._link is not None:
                self._gives_back = True
            else:
                self._wanted = (self._given.python, self._given.token, 0.0)

    def go(self, workforce: Workforce, listeners: Listeners, control: int, catch_up: Callable[[], None]) -> bool:
        """Make way for the wanted program or master, if one is wanted and nothing is in between.

        Whether this one has to end: another serves in its place. ``catch_up`` is called when it goes on instead.
        """
        if self._successor is not None and self._successor[0].closed:
            self._successor = None  # it gave up before there was nothing in between
        wanted = self._wanted or self._successor or self._gives_back
        if not wanted or not handing.quiet(workforce.groups) or not _tidy(workforce.groups):
            return False
        if self._gives_back:
            return self._give_back()

        def left(token: str, hold: float) -> Handover:
            passed, groups = listeners.descriptors(), handing.describe(workforce.groups)
            return Handover(token, sys.executable, hold, control, passed, groups)

        if self._successor is not None:
            (peer, token, hold), self._successor = self._successor, None
            if self._make_way(peer, left(token, hold)):
                return True
            workforce.resume()
            catch_up()
        elif self._wanted is not None:
            (python, token, hold), self._wanted = self._wanted, None
            self._become(python, left(token, hold))
        return False

    def _give_back(self) -> bool:
        """The master before wakes up when this one lets go. Not if it has died: then there is nobody but this one."""
        self._gives_back, self._back_at = False, None
        link, self._link = self._link, None
        if link is None or not passing.still_there(link):
            say("the master before is gone: this one stays", WARNING)
            return False
        say("gives everything back to the master before")
        link.close()
        return True

    @staticmethod
    def _make_way(peer: protocol.Peer, left: Handover) -> bool:
        """Sleep while another master serves with all this one has. Whether that one stays."""
        say("makes way for the master of another container")
        try:
            passing.send(peer.sock, left)
            stays = passing.sleep(peer.sock)
        except OSError as error:
            say(f"cannot make way: {error.strerror or error}", WARNING)
            stays = False
        say("another master serves in its place" if stays else "serves again: the other master is gone")
        peer.sock.setblocking(False)
        return stays

    def _become(self, python: str, left: Handover) -> None:
        self._allow(handing.SILENT_SECONDS * 1_000_000)
        say(f"becomes {python}")
        try:
            handing.become(python, left, self._started_with)
        except OSError as error:
            self._watch_again()
            say(f"cannot become {python}: {error.strerror}")

    def status(self) -> messages.Status:
        """What this program is; what it does is for the master to add."""
        given = self._given
        return messages.Status(
            litellm=runtime.version(),
            runtime=installed.own(),
            python=sys.executable,
            container=os.environ.get(installed.CONTAINER_VARIABLE),
            code=self._code,
            on_approval=self._back_at is not None,
            handover=messages.Handed(given.token, given.python, given.error) if given else None,
        )

    def _allow(self, period: int) -> None:
        """A program that is starting cannot tell a watchdog that it lives. Microseconds."""
        if period and self._started_with.get("WATCHDOG_USEC"):
            Notifier(dict(self._started_with)).allow(period)

    def _watch_again(self) -> None:
        self._allow(int(self._started_with.get("WATCHDOG_USEC") or 0))


def _tidy(groups: Sequence[Group]) -> bool:
    """Whether every worker that was killed is gone."""
    return all(worker.ready for group in groups if group.role == protocol.DRAINING for worker in group.workers)
