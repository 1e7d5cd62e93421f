"""The text of what scripts know of positions, and of the script that reads; see `relay.brokers.redis.lua`."""

from __future__ import annotations

from typing import Final

POSITION: Final = """
local call, try, char, byte, sub, format = redis.call, redis.pcall, string.char, string.byte, string.sub, string.format
local whole = format('%d', 2 ^ 53) == '9007199254740992' and '%d' or '%.0f'
local pair, wide = whole .. '-' .. whole, '%016' .. sub(whole, 2)
local head, found, replica = wide .. wide, nil, nil
local POSITION, HISTORY, EPOCH, OFFSET, BYTES, BEFORE, RENEWED, REST = 1, 2, 3, 4, 5, 6, 7, 8
local function write(channel, ...)
  local numbers = format(head .. head, channel[OFFSET], channel[BYTES], channel[BEFORE], channel[RENEWED])
  call('SET', channel[POSITION], numbers .. channel[EPOCH] .. sub(channel[REST], 86), ...)
end
local function open(position, history, states, number, given, random)
  if states.err then states, number = call('MGET', position), 1 end
  local channel, known = {position, history, nil, 0, 0, 0, 0, false, 0, false, false, false, false, 0}, states[number]
  if known and #known > 141 then
    channel[OFFSET], channel[BYTES] = tonumber(sub(known, 1, 16)), tonumber(sub(known, 17, 32))
    channel[BEFORE], channel[RENEWED] = tonumber(sub(known, 33, 48)), tonumber(sub(known, 49, 64))
    channel[EPOCH], channel[REST] = sub(known, 65, 85), known
    if string.find(known, given, 86, true) == 86 then return channel end
  end
  if not found then
    local info = try('INFO', 'replication')
    info = type(info) == 'string' and info or ''
    replica = string.find(info, 'role:slave', 1, true)
    found = format('%-40.40s', string.match(info, 'master_replid:(%w+)') or '')
  end
  if replica then error(redis.error_reply('READONLY this Redis is a replica; the bus needs the primary')) end
  local epoch, unset = channel[EPOCH], format('%40s', '')
  local primary = epoch and sub(known, 86, 125) or unset
  if not epoch then call('DEL', position, history) end
  if not epoch or (found ~= unset and found ~= primary) then
    local now = call('TIME')
    channel[EPOCH] = random .. format('%08x%05x', now[1], now[2])
    channel[REST] = format('%85s', '') .. (found ~= unset and found or primary) .. format(wide, channel[OFFSET])
      .. (epoch or '-')
    if channel[OFFSET] == 0 then
      write(channel, 'EX', %FRESH%)
    else
      write(channel, 'KEEPTTL')
    end
  end
  return channel
end
local function refusal(problem)
  return type(problem) == 'table' and problem or redis.error_reply(problem)
end
"""
"""`open` reads what is known of a position, one of several states that were read together, or alone if they could not,
and begins a new epoch where it has to: also where something else stands in its place. `found` is the id of the primary,
where it was asked for. `given` is the caller's idea of it; `random`, 8 characters of the caller's own, so that two
Redis don't begin the same epoch. `write` writes a whole position.

What `open` returns is an array with room for all that is added to it: a table with names would cost twice as much, and
growing as much as a command. `refusal` makes an error of Redis a reply."""

READ: Final = (
    POSITION
    + """
local size, random, lifetime, since, limit, newest_first = unpack(ARGV)
local ok, channel = pcall(open, KEYS[1], KEYS[2], try('MGET', KEYS[1]), 1, format('%40s', ''), random)
if not ok then return refusal(channel) end
local offset, entries = channel[OFFSET], {}
if offset == 0 then
  try('EXPIRE', KEYS[1], %FRESH%)
elseif call('TTL', KEYS[1]) < lifetime - %DAY% then
  try('EXPIRE', KEYS[1], lifetime)
end
if tonumber(limit) > 0 and tonumber(size) > 0 then
  local first, last = math.max(1, offset - tonumber(size) + 1), offset
  if since ~= '' and newest_first == '1' then last = math.min(last, tonumber(since) - 1 + %GROUP% - 1) end
  if since ~= '' and newest_first == '0' then first = math.max(first, tonumber(since) + 1) end
  if first <= last then
    first, last = format(whole, first), format(whole, last)
    if newest_first == '1' then
      entries = call('XREVRANGE', KEYS[2], last, first, 'COUNT', limit + %GROUP% - 1)
    else
      entries = call('XRANGE', KEYS[2], first, last, 'COUNT', limit)
    end
  end
end
return {offset, channel[EPOCH], entries, tonumber(sub(channel[REST], 126, 141)), sub(channel[REST], 142),
  channel[BYTES]}
"""
)
"""A position lives on by being read: a Redis that takes no writes can be read all the same."""
