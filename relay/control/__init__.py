"""What gateways say to each other over the bus: orders to close clients, and questions about who is there.

It travels on channels of the relay's own, whose names no client can have. Whoever may publish on the bus can
send it: that is the trust which a gateway puts in its bus anyway.
"""

from relay.control.control import Control

__all__ = ["Control"]
