"""One gateway as several processes on one machine, with one port, one set of metrics, and one start and end.

The supervisor is the process that was started; it holds no clients. Its workers are gateways that listen on the same
port with SO_REUSEPORT, so the kernel spreads new clients over them. The bus connects them, as it connects machines.
"""
