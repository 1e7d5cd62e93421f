"""Servers of the operator that a gateway asks over HTTP: how they are asked, whatever the question.

`http_client.py` sends one request, bounded in time and bytes. `back_end.py` asks for many clients at once, and not
while the server is down.
"""
