"""The scripts that publish with positions, and read histories, each in one step.

The keys of a channel, in one slot of a cluster; `PREFIX` is that of the bus:

    key                          type    what
    PREFIX{CHANNEL}:position     hash    of the newest message: e epoch, o offset; b offset at which the epoch began
                                         r id of the primary in whose time it was written
                                         c bytes of all payloads so far; s those before the oldest message, at the last
                                         look at it; t the day on which the key's time to live was set last, where
                                         anything was published: other positions live for minutes only
    PREFIX{CHANNEL}:history      stream  of messages: m an envelope without a position. The id is `OFFSET-BYTES`: bytes
                                         of all payloads before, so the size of a part is the difference of two ids
    PREFIX{CHANNEL}:repeat:HASH  string  what was answered to the message with an idempotency key: `OFFSET EPOCH
                                         RECEIVERS`. The key's hash: whoever chooses it must not choose other channels

Rules:

* An epoch never gives out an offset twice. So a position without its hash begins a new epoch, without the old stream.
  And it belongs to one term of one primary: where the server is another one than the hash says, or was a replica
  meanwhile, it may lack a tail of what was published, and begins a new epoch. The count goes on, and so does the
  stream.
* The server's own `master_replid` says which term it is: a restart changes it, and so does each promotion. (So does an
  hour without any replica, after there was one: then a new epoch says more than it should.) The caller's idea of it
  spares the question. It must come from the same connection: an idea of an earlier server fits what a snapshot or a
  promoted replica has kept of that one, and would go on with its epoch. Who can't tell connections apart has none.
* Nothing is written before everything is known. Where a user may write these keys and may not publish to the channel,
  the message is refused, and stays in the history all the same.
* The stream is cut to its size every 16th time, which is cheaper; readers look at the newest `size` messages only. By
  its bytes it is cut at once: where to, is searched in growing steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final, NamedTuple

from relay.brokers.history import FRESH_SECONDS, REPEAT_SECONDS
from relay.brokers.redis.link import pack

CUT_EVERY: Final = 16

_BEGIN_EPOCH: Final = """
local state = call('HMGET', KEYS[1], 'e', 'o', 'r', 'c', 's', 't', 'b')
local epoch, offset, primary, bytes = state[1], tonumber(state[2] or ''), state[3] or '', state[4] or '0'
local found
if not epoch or not offset or primary ~= given then
  local info = redis.pcall('INFO', 'replication')
  info = type(info) == 'string' and info or ''
  if string.find(info, 'role:slave', 1, true) then
    return redis.error_reply('READONLY this Redis is a replica; the bus needs the primary')
  end
  found = string.match(info, 'master_replid:(%w+)') or ''
  if not epoch or not offset then
    call('DEL', KEYS[1], KEYS[2])
    epoch, offset, primary, bytes, state[5], state[6] = nil, 0, '', '0', '0', nil
  end
  if not epoch or (found ~= '' and found ~= primary) then
    local now = call('TIME')
    epoch = random .. string.format('%x%05x', now[1], now[2])
    if found ~= '' then primary = found end
    state[7] = string.format('%.0f', offset)
    call('HSET', KEYS[1], 'e', epoch, 'o', state[7], 'b', state[7], 'r', primary)
    if offset == 0 then call('EXPIRE', KEYS[1], %FRESH%) end
  end
end
"""
"""Reads the position, and begins a new epoch where it has to.

Before it: `call`; `given`, the caller's idea of the primary; `random`, 8 characters of the caller's own, so that two
Redis don't begin the same epoch. Afterwards: `epoch`, `offset`, `bytes`, `state`, whose last one is the offset at which
the epoch began; and `found`, the id of the primary, where it was asked for."""

_RENEW: Final = """
if offset == 0 then
  redis.pcall('EXPIRE', KEYS[1], %FRESH%)
elseif state[6] ~= day then
  redis.pcall('EXPIRE', KEYS[1], lifetime)
  redis.pcall('HSET', KEYS[1], 't', day)
end
"""
"""Lets the position live on, for `lifetime` seconds from this `day` on where anything was published.

A Redis that takes no writes can still be read."""

_KNOWN: Final = """
local function answer(known)
  local offset, epoch, receivers = string.match(known, '^(%d+) (%S+) (%d+)$')
  return {tonumber(offset), epoch, tonumber(receivers), 1}
end
"""

_PUBLISH: Final = (
    """
local call, char, sub = redis.call, string.char, string.sub
local channel, size, ttl, limit, random, lifetime, given, day, envelope = unpack(ARGV)
local repeated = KEYS[3]
if repeated then
"""
    + _KNOWN
    + """
  local known = call('GET', repeated)
  if known then return answer(known) end
end
"""
    + _BEGIN_EPOCH
    + """
offset = offset + 1
local id = string.format('%.0f', offset)
if size == '0' then
  call('HSET', KEYS[1], 'o', id)
else
  local sum = bytes + #envelope - 19
  if offset % %CUT% == 0 then
    call('XADD', KEYS[2], 'MAXLEN', size, id .. '-' .. bytes, 'm', envelope)
  else
    call('XADD', KEYS[2], id .. '-' .. bytes, 'm', envelope)
  end
  call('PEXPIRE', KEYS[2], ttl)
  call('HSET', KEYS[1], 'o', id, 'c', string.format('%.0f', sum))
  if sum - (state[5] or 0) > tonumber(limit) then
    call('XTRIM', KEYS[2], 'MAXLEN', size)
    local low, before = tonumber(string.match(call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1][1], '^%d+')), 0
    local function fits(first)
      local oldest = call('XRANGE', KEYS[2], string.format('%.0f', first), '+', 'COUNT', 1)[1][1]
      before = string.match(oldest, '-(%d+)$')
      return sum - before <= tonumber(limit)
    end
    if low < offset and not fits(low) then
      local step = 1
      while low + step < offset and not fits(low + step) do low, step = low + step, step * 2 end
      local high = math.min(low + step, offset)
      while high - low > 1 do
        local between = math.floor((low + high) / 2)
        if fits(between) then high = between else low = between end
      end
      call('XTRIM', KEYS[2], 'MINID', string.format('%.0f', high))
      low = high
    end
    fits(low)
    call('HSET', KEYS[1], 's', before)
  end
end
"""
    + _RENEW
    + """
local length, low = #epoch, offset % 65536
local middle = (offset - low) / 65536 % 65536
local high = (offset - middle * 65536 - low) / 4294967296
local highest, high_low, middle_low = (high - high % 65536) / 65536, high % 256, middle % 256
local receivers = call('%VERB%', channel, sub(envelope, 1, 2) .. char(string.byte(envelope, 3) + 8)
  .. sub(envelope, 4, 19) .. char(0, 10 + length, 1, 8 + length, 0, highest, (high % 65536 - high_low) / 256, high_low,
  (middle - middle_low) / 256, middle_low, (low - low % 256) / 256, low % 256)
  .. epoch .. sub(envelope, 20))
if repeated then
  call('SET', repeated, id .. ' ' .. epoch .. ' ' .. string.format('%.0f', receivers), 'EX', %REPEAT%)
end
return {offset, epoch, receivers, 0, found}
"""
)

_PUBLISH_ONCE: Final = (
    """
local channel, envelope = unpack(ARGV)
"""
    + _KNOWN
    + """
local known = redis.call('GET', KEYS[1])
if known then return answer(known) end
redis.call('SET', KEYS[1], '0 - 0', 'EX', %REPEAT%)
local receivers = redis.pcall('%VERB%', channel, envelope)
if type(receivers) == 'table' then
  redis.call('DEL', KEYS[1])
  return receivers
end
redis.call('SET', KEYS[1], '0 - ' .. string.format('%.0f', receivers), 'EX', %REPEAT%)
return {0, '-', receivers, 0}
"""
)

_READ: Final = (
    """
local call = redis.call
local size, random, lifetime, day, since, limit, newest_first = unpack(ARGV)
local given = ''
"""
    + _BEGIN_EPOCH
    + _RENEW
    + """
local entries = {}
if tonumber(limit) > 0 and tonumber(size) > 0 then
  local first, last = math.max(1, offset - tonumber(size) + 1), offset
  if since ~= '' and newest_first == '1' then last = math.min(last, tonumber(since) - 1) end
  if since ~= '' and newest_first == '0' then first = math.max(first, tonumber(since) + 1) end
  if first <= last then
    first, last = string.format('%.0f', first), string.format('%.0f', last)
    if newest_first == '1' then
      entries = call('XREVRANGE', KEYS[2], last, first, 'COUNT', limit)
    else
      entries = call('XRANGE', KEYS[2], first, last, 'COUNT', limit)
    end
  end
end
return {offset, epoch, entries, tonumber(state[7] or 0)}
"""
)


class Script(NamedTuple):
    """A script of Redis.

    Args:
        source: its text.
        sha: by which Redis knows it once it is loaded.
    """

    source: str
    sha: str

    @property
    def load(self) -> bytes:
        """The command that loads it."""
        return pack("SCRIPT", "LOAD", self.source)


class PublishScripts(NamedTuple):
    """The scripts that publish.

    Args:
        positioned: to channels with positions. Its answer is offset, epoch, receivers, whether it is an answer to an
            earlier message with the same idempotency key, and the id of the primary where it was asked for.
        once: with an idempotency key to channels without positions. Its answer is the same, of an offset 0.
    """

    positioned: Script
    once: Script


def make_script(source: str, words: Mapping[str, object]) -> Script:
    """Return a script with all its words.

    Args:
        source: with places for them.
        words: by the names of their places.
    """
    for place, word in words.items():
        source = source.replace(f"%{place}%", str(word))
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


_WORDS: Final = {"CUT": CUT_EVERY, "REPEAT": REPEAT_SECONDS, "FRESH": FRESH_SECONDS}


def publish_scripts(verb: bytes) -> PublishScripts:
    """Return the scripts for a kind of pub/sub; see `Verbs.publish`."""
    words = {**_WORDS, "VERB": verb.decode()}
    return PublishScripts(make_script(_PUBLISH, words), make_script(_PUBLISH_ONCE, words))


READ: Final = make_script(_READ, _WORDS)
"""Returns offset and epoch of the newest message, entries of the stream, and the offset at which the epoch began."""


class Keys(NamedTuple):
    """The keys of a channel.

    Args:
        position, history: see the top of this module.
        repeat: what the keys of answers begin with.
    """

    position: bytes
    history: bytes
    repeat: bytes


def keys_of(prefix: str, channel: str) -> Keys:
    """Return the keys of a channel.

    Args:
        prefix: of the bus.
        channel: its name.
    """
    return Keys(*(channel_key(prefix, channel, kind) for kind in ("position", "history", "repeat:")))


def channel_key(prefix: str, channel: str, kind: str) -> bytes:
    """Return the name of a channel's key; all of one channel are in one slot.

    Args:
        prefix: of the bus.
        channel: its name.
        kind: what the key is of.
    """
    return f"{prefix}{{{channel}}}:{kind}".encode()


def hash_key(idempotency_key: str) -> bytes:
    """Return the last part of the key of an answer."""
    return hashlib.blake2b(idempotency_key.encode(errors="surrogatepass"), digest_size=16).hexdigest().encode()
