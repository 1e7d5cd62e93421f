"""What proxies say about the clients for which they speak."""
