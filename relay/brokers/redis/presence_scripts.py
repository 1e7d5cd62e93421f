"""The scripts that keep presence in Redis, each in one step.

The keys of a channel, in one slot of a cluster; `PREFIX` is that of the bus, `GATEWAY` is an id without spaces:

    key                                type    what
    PREFIX{CHANNEL}:presence           zset    gateways: the time at which each counts as dead, in ms of Redis' clock
    PREFIX{CHANNEL}:presence:GATEWAY   hash    clients of a gateway: id, `Member` in JSON
    PREFIX{CHANNEL}:present            hash    users that were told to have come: `Member.name`, ids of the gateways
                                               that have them, each with a space behind it
    PREFIX{CHANNEL}:present:GATEWAY    hash    those of a gateway: `Member.name`, `Member` in JSON

The two last ones are there only where events tell who comes and goes. Rules:

* A user has come when no other gateway in the zset has it, and has gone when none is left. A gateway that is dead
  counts until it is buried: then its users are looked at, and none is told to have come who wasn't told to have gone.
* A gateway that isn't in the zset has nothing: its id is dropped where it is found.
* So that no users are left behind, the keys of users outlive those of gateways.
* Each call does a bounded part: `PART` users at most. A burial takes several; whichever gateway does one of them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from relay.brokers.redis.scripts import channel_key, make_script

PART: Final = 256
"""Clients and users in one call at most: Lua unpacks two arguments for each, and can do so with 8000. With `info` at
its largest they are 1 MiB."""

DEAD: Final = 16
"""Gateways that one call tells to be dead at most; there is always a next one."""

_COMMON: Final = """
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local own, events, head = ARGV[1], ARGV[2], ARGV[3]
local known, left, joined = {}, {}, {}

local function others(holders)
  local rest = ''
  for gateway in string.gmatch(holders or '', '%S+') do
    if known[gateway] == nil then known[gateway] = call('ZSCORE', KEYS[1], gateway) ~= false end
    if known[gateway] and gateway ~= own then rest = rest .. gateway .. ' ' end
  end
  return rest
end

local function release(user, holders)
  local rest = others(holders)
  if rest ~= '' then
    call('HSET', KEYS[4], user, rest)
  else
    call('HDEL', KEYS[4], user)
  end
  return rest == ''
end

local function tell()
  if events == '' or #left + #joined == 0 then return end
  local text = head
  if #left > 0 then text = text .. ',"left":[' .. table.concat(left, ',') .. ']' end
  if #joined > 0 then text = text .. ',"joined":[' .. table.concat(joined, ',') .. ']' end
  call('PUBLISH', events, text .. '}')
end

local function keep(ttl)
  call('ZADD', KEYS[1], now + ttl, own)
  call('PEXPIRE', KEYS[1], 2 * ttl)
  call('PEXPIRE', KEYS[2], 2 * ttl)
  call('PEXPIRE', KEYS[3], 3 * ttl)
  call('PEXPIRE', KEYS[4], 3 * ttl)
end
"""
"""What the scripts share. `own` is the gateway that a call is about; without `events`, a channel, nothing is told."""

_UPDATE: Final = (
    _COMMON
    + """
local last = 8
local function following(count)
  local first = last + 1
  last = last + count
  return first, last, count > 0
end
local function look(first, last)
  local users = {}
  for place = first, last, 2 do users[#users + 1] = ARGV[place] end
  return users, call('HMGET', KEYS[3], unpack(users)), call('HMGET', KEYS[4], unpack(users))
end

local from, to, any = following(tonumber(ARGV[5]))
if any then call('HDEL', KEYS[2], unpack(ARGV, from, to)) end
from, to, any = following(2 * ARGV[6])
if any then call('HSET', KEYS[2], unpack(ARGV, from, to)) end
from, to, any = following(2 * ARGV[7])
if any then
  local users, mine, holders = look(from, to)
  for number, user in ipairs(users) do
    if mine[number] and release(user, holders[number]) then left[#left + 1] = ARGV[from + 2 * number - 1] end
  end
  call('HDEL', KEYS[3], unpack(users))
end
from, to, any = following(2 * ARGV[8])
if any then
  local users, mine, holders = look(from, to)
  for number, user in ipairs(users) do
    local rest = others(holders[number])
    if not mine[number] and rest == '' then joined[#joined + 1] = ARGV[from + 2 * number - 1] end
    call('HSET', KEYS[4], user, rest .. own .. ' ')
  end
  call('HSET', KEYS[3], unpack(ARGV, from, to))
end

local members, users = call('HLEN', KEYS[2]), call('HLEN', KEYS[3])
if members + users > 0 then
  keep(tonumber(ARGV[4]))
else
  call('ZREM', KEYS[1], own)
end
tell()
return {members, users}
"""
)

_REFRESH: Final = (
    _COMMON
    + """
local members, users = call('HLEN', KEYS[2]), call('HLEN', KEYS[3])
if members + users > 0 then keep(tonumber(ARGV[4])) end
return {members, users, call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', now), 'LIMIT', 0, %DEAD%)}
"""
)

_BURY: Final = (
    _COMMON
    + """
local dead_at = call('ZSCORE', KEYS[1], own)
if not dead_at or tonumber(dead_at) >= now then return 0 end
call('DEL', KEYS[2])
if call('HLEN', KEYS[3]) > 0 then
  local found = call('HRANDFIELD', KEYS[3], %PART%, 'WITHVALUES')
  local users = {}
  for place = 1, #found, 2 do users[#users + 1] = found[place] end
  local holders = call('HMGET', KEYS[4], unpack(users))
  for number, user in ipairs(users) do
    if release(user, holders[number]) then left[#left + 1] = found[2 * number] end
  end
  call('HDEL', KEYS[3], unpack(users))
end
local rest = call('HLEN', KEYS[3])
if rest == 0 then call('ZREM', KEYS[1], own) end
tell()
return rest
"""
)

_WORDS: Final = {"PART": PART, "DEAD": DEAD}

UPDATE: Final = make_script(_UPDATE, _WORDS)
"""Changes what a gateway has. Arguments: its id, channel of events, `event_head`, its time to live in ms, numbers of
clients that have left, of members, of users that have gone, of users that have come; then all of these, behind each
name its JSON. Returns the numbers of the gateway's members and users."""

REFRESH: Final = make_script(_REFRESH, _WORDS)
"""Lets a gateway live on. Arguments: the first four of `UPDATE`. Returns the numbers of its members and
users, and ids of gateways that are dead."""

BURY: Final = make_script(_BURY, _WORDS)
"""Removes all members of a gateway, and some of its users, if it is dead. Arguments: the first three of `UPDATE`.
Returns how many users are left to be removed."""


class PresenceKeys(NamedTuple):
    """The keys of a channel and a gateway, in the order in which scripts take them.

    Args:
        gateways, members, own_users, users: see the top of this module.
    """

    gateways: bytes
    members: bytes
    own_users: bytes
    users: bytes


def presence_keys(prefix: str, channel: str, gateway: str) -> PresenceKeys:
    """Return the keys of a channel and a gateway.

    Args:
        prefix: of the bus.
        channel: its name.
        gateway: id of the gateway.
    """
    kinds = ("presence", f"presence:{gateway}", f"present:{gateway}", "present")
    return PresenceKeys(*(channel_key(prefix, channel, kind) for kind in kinds))
