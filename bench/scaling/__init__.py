"""What more gateways cost: the same load for each of them, over one Redis."""
