"""The text of the scripts, with places for words; see `relay.brokers.redis.scripts` for their keys and rules.

A publish of one message among many costs Redis little more than the commands that it needs, XADD and PUBLISH. So what
can be done once for all messages of a channel, or of a call, is done once; and of two ways the one with fewer commands,
fewer new strings and shorter ones is taken: Redis hashes each string that a script makes, from end to end.
"""

from __future__ import annotations

from typing import Final

_POSITION: Final = """
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
  local channel, known = {position, history, nil, 0, 0, 0, 0, false, 0, false, false, false}, states[number]
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
  local epoch, nobody = channel[EPOCH], format('%40s', '')
  local primary = epoch and sub(known, 86, 125) or nobody
  if not epoch then call('DEL', position, history) end
  if not epoch or (found ~= nobody and found ~= primary) then
    local now = call('TIME')
    channel[EPOCH] = random .. format('%08x%05x', now[1], now[2])
    channel[REST] = format('%85s', '') .. (found ~= nobody and found or primary) .. format(wide, channel[OFFSET])
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

_APPEND: Final = """
local SENT, OPTIONS, REFUSED, NAME = 9, 10, 11, 12
local SIZE, TTL, LIMIT, LIFETIME, PAUSE = 1, 2, 3, 4, 5
local function append(channel, envelope, size)
  local offset = channel[OFFSET] + 1
  if size ~= '0' then
    local id, reply = format(pair, offset, channel[BYTES])
    if offset % %CUT% == 0 then
      reply = try('XADD', channel[HISTORY], 'NOMKSTREAM', 'MAXLEN', '~', size, id, 'm', envelope)
    elseif offset == channel[SENT] + 1 then
      reply = try('XADD', channel[HISTORY], 'NOMKSTREAM', id, 'm', envelope)
    else
      reply = try('XADD', channel[HISTORY], id, 'm', envelope)
    end
    if not reply then
      reply = try('XADD', channel[HISTORY], id, 'm', envelope)
      channel[RENEWED] = 0
    end
    if type(reply) == 'table' then
      channel[REFUSED] = reply
      return
    end
    channel[BYTES] = channel[BYTES] + #envelope - 19
  end
  channel[OFFSET] = offset
end
local function cut(channel, size, limit)
  local history, offset, bytes = channel[HISTORY], channel[OFFSET], channel[BYTES]
  call('XTRIM', history, 'MAXLEN', size)
  local low, before = tonumber(string.match(call('XRANGE', history, '-', '+', 'COUNT', 1)[1][1], '^%d+')), 0
  local function fits(first)
    local oldest = call('XRANGE', history, format(whole, first), '+', 'COUNT', 1)[1][1]
    before = tonumber(string.match(oldest, '-(%d+)$'))
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
  channel[BEFORE] = before
end
local function close(channel, options, now)
  local kept, age = options[SIZE] ~= '0', now - channel[RENEWED]
  if kept and channel[BYTES] - channel[BEFORE] > options[LIMIT] then
    cut(channel, options[SIZE], options[LIMIT])
    write(channel, 'KEEPTTL')
  end
  if age >= 0 and age < options[PAUSE] then
    call('SETRANGE', channel[POSITION], 0, format(head, channel[OFFSET], channel[BYTES]))
  else
    channel[RENEWED] = now
    if kept then call('PEXPIRE', channel[HISTORY], options[TTL]) end
    write(channel, 'EX', options[LIFETIME])
  end
end
"""
"""`append` gives a message an offset, and keeps it; `close` writes down what was appended to a channel. `cut` drops the
oldest messages where there are too many bytes, but never the newest message.

The times to live are set once in a while, for so much longer, and for a stream that has just begun: it has none."""

_SEND: Final = """
local text, binary, upper, upper_rest, upper_length = char(255, 114, 24), char(255, 114, 25), nil, nil, nil
local function send(channel, envelope)
  local offset, epoch = channel[SENT] + 1, channel[EPOCH]
  channel[SENT] = offset
  local low, length = offset % 65536, #epoch
  local rest = (offset - low) / 65536
  if rest ~= upper_rest or length ~= upper_length then
    local middle = rest % 65536
    local high = (rest - middle) / 65536
    local highest, high_low, middle_low = (high - high % 65536) / 65536, high % 256, middle % 256
    upper = char(0, 10 + length, 1, 8 + length, 0, highest, (high % 65536 - high_low) / 256, high_low,
      (middle - middle_low) / 256, middle_low)
    upper_rest, upper_length = rest, length
  end
  local last, kind, first, payload = low % 256, byte(envelope, 3), upper, 20
  if kind > 17 then
    local total = byte(envelope, 20) * 256 + byte(envelope, 21) + 10 + length
    first, payload = char((total - total % 256) / 256, total % 256) .. sub(upper, 3), 22
  end
  return try('%VERB%', channel[NAME], (kind % 2 == 0 and text or binary) .. sub(envelope, 4, 19)
    .. first .. char((low - last) / 256, last) .. epoch .. sub(envelope, payload))
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
local random, order, kinds, given = unpack(ARGV, 1, 4)
if not order then return {} end
local messages, channels, repeated = #order, #kinds, nil
given = format('%-40.40s', given)
if #KEYS > 2 * channels then
  repeated = KEYS[#KEYS]
  local known = call('GET', repeated)
  if known then return answer(known) end
end
local options, first_name = {}, 4
for i = 1, channels do
  local kind = byte(kinds, i)
  if not options[kind] then
    local at = 5 * kind
    options[kind] = {ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3], tonumber(ARGV[at + 4])}
    first_name = math.max(first_name, at + 4)
  end
end
local positions = {}
for i = 1, channels do positions[i] = KEYS[2 * i - 1] end
local states, time = try('MGET', unpack(positions)), call('TIME')
local now, first_envelope = time[1] * 1000 + math.floor(time[2] / 1000), first_name + channels
local opened, reply, may = {}, {0, '', {}}, redis.acl_check_cmd
local results = reply[3]
for i = 1, channels do
  local name, ok, channel = ARGV[first_name + i], false, 'NOPERM No permissions to publish to the channel'
  if not may or may('%VERB%', name, '') then
    ok, channel = pcall(open, positions[i], KEYS[2 * i], states, i, given, random)
  end
  if ok then
    channel[NAME], channel[SENT], channel[OPTIONS] = name, channel[OFFSET], options[byte(kinds, i)]
    reply[2 * i + 2], reply[2 * i + 3] = channel[EPOCH], channel[OFFSET] + 1
  else
    channel = {[REFUSED] = refusal(channel)}
    reply[2 * i + 2], reply[2 * i + 3] = '', 0
  end
  opened[i] = channel
end
for i = 1, messages do
  local channel = opened[byte(order, i)]
  if not channel[REFUSED] then append(channel, ARGV[first_envelope + i], channel[OPTIONS][SIZE]) end
end
for i = 1, channels do
  local channel = opened[i]
  if channel[EPOCH] and channel[OFFSET] > channel[SENT] then
    local ok, problem = pcall(close, channel, channel[OPTIONS], now)
    if not ok then channel[REFUSED], channel[OFFSET] = refusal(problem), channel[SENT] end
  end
end
for i = 1, messages do
  local channel = opened[byte(order, i)]
  if channel[EPOCH] and channel[SENT] < channel[OFFSET] then
    results[i] = send(channel, ARGV[first_envelope + i])
  else
    results[i] = channel[REFUSED]
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
return {offset, channel[EPOCH], entries, tonumber(sub(channel[REST], 126, 141)), sub(channel[REST], 142)}
"""
)
"""A position lives on by being read: a Redis that takes no writes can be read all the same."""
