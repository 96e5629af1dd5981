"""The echo server of the Autobahn test suite (Python 2.7). Arguments: the port it listens on, the port its clients name."""

import sys

from autobahntestsuite.testee import TesteeServerFactory
from twisted.internet import reactor

listened, named = (int(argument) for argument in sys.argv[1:3])
factory = TesteeServerFactory("ws://127.0.0.1:%d" % named, False)
reactor.listenTCP(listened, factory, interface="127.0.0.1")
reactor.run()
