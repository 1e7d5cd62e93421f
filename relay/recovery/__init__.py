"""Recovery: clients of channels with positions miss nothing, or are told.

`sequence.py` decides, for one channel, and `recent_messages.py` what clients that come back get: both are pure.
`recoveries.py` reads histories when a sequence needs it, and is what the node and the admission know.
"""
