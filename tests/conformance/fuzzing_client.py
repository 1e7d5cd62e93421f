"""Autobahn's fuzzing client, which gives each case a channel of its own.

It runs with Python 2.7, as the suite does: `python2.7 fuzzing_client.py SPEC`. SPEC is a file as `wstest -m
fuzzingclient` takes it; in the URL of the server `%s` stands for the case.
"""

import json
import sys

from autobahntestsuite.fuzzing import FuzzingClientFactory
from twisted.internet import reactor

PATIENCE = 10
"""How many times longer than Autobahn a case waits before it fails: a second is a bet on a busy machine."""


class FuzzingClient(FuzzingClientFactory):
    """Runs one case after another.

    In one channel for all, a message that a case has sent at its end could come to the next one.
    """

    def nextCase(self):
        """Go to the next case; return whether there is one."""
        more = FuzzingClientFactory.nextCase(self)
        if more:
            url = self.spec["servers"][self.currServer]["url"]
            self.setSessionParameters(url=str(url % self.currentCaseId), useragent="Autobahn")
        return more

    def buildProtocol(self, addr):
        """Return the client of a case."""
        protocol = FuzzingClientFactory.buildProtocol(self, addr)
        kill_after = protocol.killAfter
        protocol.killAfter = lambda seconds: kill_after(seconds * PATIENCE)
        return protocol


if __name__ == "__main__":
    with open(sys.argv[1]) as spec:
        FuzzingClient(json.load(spec))
    reactor.run()
