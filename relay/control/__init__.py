"""What gateways send each other over the bus: commands to disconnect or unsubscribe clients, and surveys.

It travels on channels of the relay's own, whose names no client can have. Every program that may publish on the bus
can send the same: a gateway trusts its bus that far anyway.
"""

from relay.control.control import Control

__all__ = ["Control"]
