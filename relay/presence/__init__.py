"""Presence: this gateway's clients on the channels where it is known who is there, and what the bus is told of them.

`channel_presence` is a table of one channel, `deadlines` says what is due when, and `waiting` has the channels that
wait for the bus: these are pure. `presences` tells the bus.
"""
