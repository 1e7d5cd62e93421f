"""The text of the scripts, with places for words; see `relay.brokers.redis.scripts` for their keys and rules.

A publish of one message among many costs Redis little more than the commands that it needs, XADD and PUBLISH. So what
can be done once for all messages of a channel, or of a call, is done once.
"""

from __future__ import annotations

from typing import Final

_POSITION: Final = """
local call, try, char, byte, sub, format = redis.call, redis.pcall, string.char, string.byte, string.sub, string.format
local whole = format('%d', 2 ^ 53) == '9007199254740992' and '%d' or '%.0f'
local pair, found, replica = whole .. '-' .. whole, nil, nil
local function open(position, history, given, random)
  local state = call('HMGET', position, 'e', 'o', 'r', 'c', 's', 't', 'b')
  local epoch, offset, primary = state[1], tonumber(state[2] or ''), state[3] or ''
  local bytes, before, day, began = tonumber(state[4] or '0'), tonumber(state[5] or '0'), state[6], state[7]
  if not epoch or not offset or primary ~= given then
    if not found then
      local info = try('INFO', 'replication')
      info = type(info) == 'string' and info or ''
      replica = string.find(info, 'role:slave', 1, true)
      found = string.match(info, 'master_replid:(%w+)') or ''
    end
    if replica then error(redis.error_reply('READONLY this Redis is a replica; the bus needs the primary')) end
    if not epoch or not offset then
      call('DEL', position, history)
      epoch, offset, primary, bytes, before, day = nil, 0, '', 0, 0, nil
    end
    if not epoch or (found ~= '' and found ~= primary) then
      local now, former = call('TIME'), epoch or '-'
      epoch = random .. format('%x%05x', now[1], now[2])
      if found ~= '' then primary = found end
      local count = format(whole, offset)
      began = count .. ' ' .. epoch .. ' ' .. former
      call('HSET', position, 'e', epoch, 'o', count, 'b', began, 'r', primary)
      if offset == 0 then call('EXPIRE', position, %FRESH%) end
    end
  end
  return {position = position, history = history, epoch = epoch, offset = offset, began = began, bytes = bytes,
    before = before, day = day, sent = offset, name = nil, size = nil, ttl = nil, limit = nil, lifetime = nil,
    upper = nil, refused = nil}
end
local function renew(channel, lifetime, day)
  if channel.offset == 0 then
    try('EXPIRE', channel.position, %FRESH%)
  elseif channel.day ~= day then
    try('EXPIRE', channel.position, lifetime)
    try('HSET', channel.position, 't', day)
  end
end
local function refusal(problem)
  return type(problem) == 'table' and problem or redis.error_reply(problem)
end
"""
"""`open` reads a position, and begins a new epoch where it has to; `found` is the id of the primary, where it was asked
for. `given` is the caller's idea of it; `random`, 8 characters of the caller's own, so that two Redis don't begin the
same epoch. `began` is the offset at which an epoch began, and that epoch: an older relay that begins one
leaves what it finds there.

What `open` returns is made with room for all that is added to it, as growing would cost as much as a command.

`renew` lets a position live on, for `lifetime` seconds from this `day` on where anything was published. A Redis that
takes no writes can still be read. `refusal` makes an error of Redis a reply."""

_APPEND: Final = """
local function append(channel, envelope)
  local offset = channel.offset + 1
  if channel.size ~= '0' then
    local id, reply = format(pair, offset, channel.bytes)
    if offset % %CUT% == 0 then
      reply = try('XADD', channel.history, 'MAXLEN', '~', channel.size, id, 'm', envelope)
    else
      reply = try('XADD', channel.history, id, 'm', envelope)
    end
    if type(reply) == 'table' then
      channel.refused = reply
      return
    end
    channel.bytes = channel.bytes + #envelope - 19
  end
  channel.offset = offset
end
local function cut(channel)
  local history, offset, bytes, limit = channel.history, channel.offset, channel.bytes, tonumber(channel.limit)
  call('XTRIM', history, 'MAXLEN', channel.size)
  local low, before = tonumber(string.match(call('XRANGE', history, '-', '+', 'COUNT', 1)[1][1], '^%d+')), 0
  local function fits(first)
    local oldest = call('XRANGE', history, format(whole, first), '+', 'COUNT', 1)[1][1]
    before = string.match(oldest, '-(%d+)$')
    return bytes - before <= limit
  end
  if low < offset and not fits(low) then
    local step = 1
    while low + step < offset and not fits(low + step) do low, step = low + step, step * 2 end
    local high = math.min(low + step, offset)
    while high - low > 1 do
      local between = math.floor((low + high) / 2)
      if fits(between) then high = between else low = between end
    end
    call('XTRIM', history, 'MINID', format(whole, high))
    low = high
  end
  fits(low)
  call('HSET', channel.position, 's', before)
end
local function close(channel, day)
  if channel.size == '0' then
    call('HSET', channel.position, 'o', format(whole, channel.offset))
  else
    call('PEXPIRE', channel.history, channel.ttl)
    call('HSET', channel.position, 'o', format(whole, channel.offset), 'c', format(whole, channel.bytes))
    if channel.bytes - channel.before > tonumber(channel.limit) then cut(channel) end
  end
  renew(channel, channel.lifetime, day)
end
"""
"""`append` gives a message an offset, and keeps it; `close` writes down what was appended to a channel. `cut` drops the
oldest messages where there are too many bytes, but never the newest message."""

_SEND: Final = """
local text, binary = char(255, 114, 24), char(255, 114, 25)
local function send(channel, envelope)
  local offset, epoch = channel.sent + 1, channel.epoch
  channel.sent = offset
  local low = offset % 65536
  if low == 0 or not channel.upper then
    local length, rest = #epoch, (offset - low) / 65536
    local middle = rest % 65536
    local high = (rest - middle) / 65536
    local highest, high_low, middle_low = (high - high % 65536) / 65536, high % 256, middle % 256
    channel.upper = char(0, 10 + length, 1, 8 + length, 0, highest, (high % 65536 - high_low) / 256, high_low,
      (middle - middle_low) / 256, middle_low)
  end
  local last, kind, upper, rest = low % 256, byte(envelope, 3), channel.upper, 20
  if kind > 17 then
    local total = byte(envelope, 20) * 256 + byte(envelope, 21) + 10 + #epoch
    upper, rest = char((total - total % 256) / 256, total % 256) .. sub(upper, 3), 22
  end
  return try('%VERB%', channel.name, (kind % 2 == 0 and text or binary) .. sub(envelope, 4, 19)
    .. upper .. char((low - last) / 256, last) .. epoch .. sub(envelope, rest))
end
"""
"""`send` publishes a message with its position, and returns how many receivers there are, or a refusal. The position is
the only extension, or the first one of those that the envelope has already."""

_KNOWN: Final = """
local function answer(known)
  local offset, epoch, receivers = string.match(known, '^(%d+) (%S+) (%d+)$')
  return {1, '', {tonumber(receivers)}, epoch, tonumber(offset)}
end
"""

PUBLISH: Final = (
    _POSITION
    + _APPEND
    + _SEND
    + _KNOWN
    + """
local random, order, kinds, given, day = unpack(ARGV, 1, 5)
if not order then return {} end
local messages, channels, repeated = #order, #kinds, nil
if #KEYS > 2 * channels then
  repeated = KEYS[#KEYS]
  local known = call('GET', repeated)
  if known then return answer(known) end
end
local first_name = 5
for i = 1, channels do first_name = math.max(first_name, 5 + 4 * byte(kinds, i)) end
local first_envelope, opened, reply = first_name + channels, {}, {0, '', {}}
local results, may = reply[3], redis.acl_check_cmd
for i = 1, channels do
  local name, ok, channel = ARGV[first_name + i], false, 'NOPERM No permissions to publish to the channel'
  if not may or may('%VERB%', name, '') then ok, channel = pcall(open, KEYS[2 * i - 1], KEYS[2 * i], given, random) end
  if ok then
    local kind = 2 + 4 * byte(kinds, i)
    channel.name = name
    channel.size, channel.ttl, channel.limit, channel.lifetime = unpack(ARGV, kind, kind + 3)
    reply[2 * i + 2], reply[2 * i + 3] = channel.epoch, channel.offset + 1
  else
    channel = {refused = refusal(channel)}
    reply[2 * i + 2], reply[2 * i + 3] = '', 0
  end
  opened[i] = channel
end
for i = 1, messages do
  local channel = opened[byte(order, i)]
  if not channel.refused then append(channel, ARGV[first_envelope + i]) end
end
for i = 1, channels do
  local channel = opened[i]
  if channel.epoch and channel.offset > channel.sent then
    local ok, problem = pcall(close, channel, day)
    if not ok then channel.refused, channel.offset = refusal(problem), channel.sent end
  end
end
for i = 1, messages do
  local channel = opened[byte(order, i)]
  if channel.epoch and channel.sent < channel.offset then
    results[i] = send(channel, ARGV[first_envelope + i])
  else
    results[i] = channel.refused
  end
end
if messages == 1 and type(results[1]) == 'table' then return results[1] end
reply[2] = found or ''
if repeated then
  call('SET', repeated, format('%.0f %s %.0f', reply[5], reply[4], results[1]), 'EX', %REPEAT%)
end
return reply
"""
)

PUBLISH_ONCE: Final = (
    _KNOWN
    + """
local channel, envelope = unpack(ARGV)
local known = redis.call('GET', KEYS[1])
if known then return answer(known) end
redis.call('SET', KEYS[1], '0 - 0', 'EX', %REPEAT%)
local receivers = redis.pcall('%VERB%', channel, envelope)
if type(receivers) == 'table' then
  redis.call('DEL', KEYS[1])
  return receivers
end
redis.call('SET', KEYS[1], '0 - ' .. string.format('%.0f', receivers), 'EX', %REPEAT%)
return {0, '', {receivers}, '-', 0}
"""
)

READ: Final = (
    _POSITION
    + """
local size, random, lifetime, day, since, limit, newest_first = unpack(ARGV)
local ok, channel = pcall(open, KEYS[1], KEYS[2], '', random)
if not ok then return refusal(channel) end
renew(channel, lifetime, day)
local offset, entries = channel.offset, {}
if tonumber(limit) > 0 and tonumber(size) > 0 then
  local first, last = math.max(1, offset - tonumber(size) + 1), offset
  if since ~= '' and newest_first == '1' then last = math.min(last, tonumber(since) - 1) end
  if since ~= '' and newest_first == '0' then first = math.max(first, tonumber(since) + 1) end
  if first <= last then
    first, last = format(whole, first), format(whole, last)
    if newest_first == '1' then
      entries = call('XREVRANGE', KEYS[2], last, first, 'COUNT', limit)
    else
      entries = call('XRANGE', KEYS[2], first, last, 'COUNT', limit)
    end
  end
end
local began, which, former = string.match(channel.began or '', '^(%d+) (%S+) (%S+)$')
return {offset, channel.epoch, entries, which == channel.epoch and {tonumber(began), former}}
"""
)
