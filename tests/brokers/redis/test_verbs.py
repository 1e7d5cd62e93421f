"""How a PUBLISH is packed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relay.brokers.redis.link import pack
from relay.brokers.redis.verbs import PUBSUB, SHARDED_PUBSUB, pack_publish, publish_template


@given(st.binary(min_size=1, max_size=60), st.binary(max_size=200))
def test_a_publish_is_packed_as_hiredis_does(key: bytes, payload: bytes) -> None:
    assert pack_publish(key, payload) == pack("PUBLISH", key, payload)


def test_a_channel_may_look_like_a_format() -> None:
    for key in (b"100%", b"%d%b", b"%%"):
        assert publish_template(b"PUBLISH", key) % (1, b"x") == pack("PUBLISH", key, b"x")


def test_a_cluster_has_verbs_of_its_own() -> None:
    assert pack_publish(b"c", b"%s", SHARDED_PUBSUB.publish) == pack("SPUBLISH", b"c", b"%s")
    for plain, sharded in zip(PUBSUB[:3], SHARDED_PUBSUB[:3], strict=True):
        assert sharded == b"S" + plain
