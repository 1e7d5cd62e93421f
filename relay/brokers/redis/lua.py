"""The text of the scripts, with places for words; see `relay.brokers.redis.scripts` for their keys and rules.

A publish of one message among many costs Redis little more than the commands that it needs, XADD and PUBLISH. So what
can be done once for all messages of a channel, or of a call, is done once; and of two ways the one with fewer commands,
fewer new strings and shorter ones is taken: Redis hashes each string that a script makes, from end to end.
"""

from __future__ import annotations

from typing import Final

from relay.brokers.redis.lua_position import POSITION

_APPEND: Final = """
local SENT, OPTIONS, REFUSED, NAME, GROUP, ROOM = 9, 10, 11, 12, 13, 14
local SIZE, TTL, LIMIT, LIFETIME, PAUSE = 1, 2, 3, 4, 5
local fields = {%FIELDS%}
local function keep(channel, count, bytes, ...)
  local offset, size = channel[OFFSET] + count, channel[OPTIONS][SIZE]
  if size ~= '0' then
    local id, reply = format(pair, offset, channel[BYTES]), nil
    if offset % %CUT% < count then
      local low = format(whole, math.max(0, offset - size + 1))
      reply = try('XADD', channel[HISTORY], 'NOMKSTREAM', 'MINID', '~', low, id, ...)
    elseif channel[OFFSET] == channel[SENT] then
      reply = try('XADD', channel[HISTORY], 'NOMKSTREAM', id, ...)
    else
      reply = try('XADD', channel[HISTORY], id, ...)
    end
    if not reply then
      reply = try('XADD', channel[HISTORY], id, ...)
      channel[RENEWED] = 0
    end
    if type(reply) == 'table' then
      channel[REFUSED] = reply
      return
    end
    channel[BYTES] = channel[BYTES] + bytes
  end
  channel[OFFSET] = offset
end
local function finish(channel)
  local group = channel[GROUP]
  if group and not channel[REFUSED] then
    keep(channel, #group / 2, %GROUP_BYTES% - channel[ROOM] - 19 * #group / 2, unpack(group))
  end
  channel[GROUP] = false
end
local function append(channel, envelope)
  local group = channel[GROUP]
  if not group then
    group = {}
    channel[GROUP], channel[ROOM] = group, %GROUP_BYTES%
  end
  local used = #group
  group[used + 1], group[used + 2] = fields[used / 2 + 1], envelope
  channel[ROOM] = channel[ROOM] - #envelope
  if used + 2 == 2 * %GROUP% or channel[ROOM] <= 0 then finish(channel) end
end
local function cut(channel, size, limit)
  local history, offset, bytes = channel[HISTORY], channel[OFFSET], channel[BYTES]
  call('XTRIM', history, 'MINID', format(whole, math.max(0, offset - size + 1)))
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
    call('XTRIM', history, 'MINID', format(whole, low))
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
"""`keep` gives messages offsets, and keeps them as one entry; `append` and `finish` gather those of one channel for it.
`close` writes down what was appended to a channel. `cut` drops the oldest entries where there are too many bytes, but
never the newest one; of the last one that it leaves only the newest messages may be within the bytes.

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
    POSITION
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
  if not channel[REFUSED] then
    local envelope = ARGV[first_envelope + i]
    if messages == channels then keep(channel, 1, #envelope - 19, 'm', envelope) else append(channel, envelope) end
  end
end
for i = 1, channels do
  local channel = opened[i]
  if channel[GROUP] then finish(channel) end
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
