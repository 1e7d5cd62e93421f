"""The bus over Redis pub/sub."""

from relay.brokers.redis.broker import RedisBroker

broker_class = RedisBroker
