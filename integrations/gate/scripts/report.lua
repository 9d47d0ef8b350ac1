-- What became of a permit.
-- ARGV: id, outcome, not before for ms, delay in ms where it is longer than the least guard or '', 1 for a slow call
--       or '', what the provider said of its windows (<place> <limit or -> <remaining or -> <ms until it begins anew>,
--       separated by commas) or '', random, limits.
-- Answers with the circuit afterwards as shared.lua's told() does; or with its words alone, when all is well.

local id, outcome, retry, delay, slow = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local learned, random = ARGV[6], tonumber(ARGV[7])

local p = policy(7)
local r = rule()
local now = clock()
local s = read_state()
now = math.max(now, s.last)
local c = circuit_of(s.circuit)
local h = host_of(p, s.epoch)
local mode = mode_of(s, p, now)
local admitted, seq, born, generation, cost, probe = string.match(id, '^(%d+)-(%d+)-(%d+)-(%d+)-(%d+)-([0-3])$')
local call = admitted .. '-' .. seq
admitted, born, generation, cost = tonumber(admitted), tonumber(born), tonumber(generation), tonumber(cost)

local function give_back()
  for _, w in ipairs(p.windows) do
    if w.ring then
      local entries = { call }
      for i = 2, cost do entries[i] = call .. ':' .. i end
      ask('ZREM', w.key, unpack(entries))
    else
      local at = math.floor(admitted / w.bucket)
      if ask('HEXISTS', w.key, at) == 1 then
        ask('HINCRBY', w.key, at, -cost)
        ask('HINCRBY', w.key, 'total', -cost)
      end
    end
  end
end

-- The host's circuit opens when a second scope agrees.
local function tell_host()
  if not p.host then return end
  local opened = KEYS[4] .. ':opened'
  ask('ZADD', opened, now, KEYS[2])
  ask('ZREMRANGEBYSCORE', opened, '-inf', now - AGREE - 1)
  ask('PEXPIRE', opened, 2 * AGREE)
  if ask('ZCARD', opened) < 2 or (h and (h.name == 'open' or h.name == 'half_open')) then return end
  h = h or circuit_of(CLOSED)
  open(h, r, now, 'scopes', random)
  ask('DEL', KEYS[4] .. ':probes')
  write_host(h, s.epoch, p)
end

local function forget_calls() ask('HDEL', KEYS[2], 'calls') end

local function open_own(cause)
  open(c, r, now, cause, random)
  ask('DEL', KEYS[3])
  write_circuit(c, p)
  tell_host()
end

local function close_own()
  close(c, r, now)
  ask('DEL', KEYS[3])
  forget_calls()
  write_circuit(c, p)
end

local function close_host()
  close(h, r, now)
  ask('DEL', KEYS[4] .. ':probes', KEYS[4] .. ':opened')
  write_host(h, s.epoch, p)
end

-- Taking it out of the leases gives the probe back; no longer in there means its lease went to another.
local function own_probe_reported()
  if ask('ZREM', KEYS[3], call) == 0 then return end
  if outcome == 'failure' then
    c.failures = c.failures + 1
    open_own('probe')
  elseif outcome == 'ok' or outcome == 'neutral' then
    close_own()
  end
end

local function host_probe_reported()
  if ask('ZREM', KEYS[4] .. ':probes', call) == 0 then return end
  if outcome == 'failure' then
    open(h, r, now, 'probe', random)
    write_host(h, s.epoch, p)
  elseif outcome == 'ok' or outcome == 'neutral' then
    close_host()
  end
end

-- Adds this call to those remembered; why the circuit should open, if it should.
local function counted()
  local failed = outcome == 'failure'
  c.failures = failed and c.failures + 1 or 0
  local cause
  if #GOOD > 0 then
    local calls = ask('HGET', KEYS[2], 'calls') or ''
    calls = string.sub(calls .. (failed and (slow and 'b' or 'f') or (slow and 's' or '.')), -#GOOD)
    ask('HSET', KEYS[2], 'calls', calls)
    if #calls >= r.minimum and (failed or slow) then
      local _, failures = string.gsub(calls, '[fb]', '')
      local _, slows = string.gsub(calls, '[sb]', '')
      if failed and failures >= r.failure_rate * #calls then cause = 'failure_rate' end
      if slow and slows >= r.slow_rate * #calls then cause = 'slow_rate' end
    end
  end
  if failed and c.failures >= r.failures then cause = 'failures' end
  -- A recovering circuit is judged as any other: one bad answer in twenty must not keep an account shut.
  if failed and cause and c.name == 'ramp' then cause = 'ramp' end
  return cause
end

local function only_told()
  local often = string.match(ask('HGET', KEYS[2], 'would') or '0 -', '^%d+')
  ask('HSET', KEYS[2], 'would', (often + 1) .. ' ' .. now)
  c.failures = 0
  forget_calls()
  write_circuit(c, p)
end

local function call_reported()
  if outcome ~= 'failure' and outcome ~= 'ok' then return end
  local cause = counted()
  if cause and mode then return only_told() end
  if cause then
    forget_calls()
    return open_own(cause)
  end
  if c.name == 'ramp' and outcome == 'ok' and r.ramp_successes > 0 then
    c.well = c.well + 1
    if c.well >= r.ramp_successes then c.till = math.min(c.till, now) end
    advance(c, r, now)
  end
  write_circuit(c, p)
end

if delay and delay > guard(s, p, now) then
  ask('HSET', KEYS[2], 'guard', math.min(p.cap, math.ceil(delay)), 'guard_at', now)
  ask('PEXPIRE', KEYS[2], p.keep)
end
if outcome == 'rate_limited' then
  ask('HSET', KEYS[2], NOT_BEFORE, math.max(s.not_before or 0, now + retry))
  ask('PEXPIRE', KEYS[2], p.keep)
end

-- Calls that others made: they are taken to have arrived so that they leave when the provider's window begins anew.
local function raise_use(w, missing, leaves)
  local arrived = math.min(now, leaves - w.span)
  if w.ring then
    for first = 1, missing, 1000 do
      local entries = {}
      for i = first, math.min(missing, first + 999) do
        entries[#entries + 1] = arrived
        entries[#entries + 1] = 'told:' .. call .. ':' .. i
      end
      ask('ZADD', w.key, unpack(entries))
    end
    return ask('PEXPIRE', w.key, 2 * period(w, p))
  end
  local total, oldest = live(w, now)
  if total == 0 then ask('DEL', w.key) end
  local at = math.floor(arrived / w.bucket)
  local latest = tonumber(ask('HGET', w.key, 'a' .. at)) or 0
  ask('HINCRBY', w.key, at, missing)
  ask('HSET', w.key, 'total', total + missing, 'oldest', total > 0 and math.min(oldest, at) or at,
    'a' .. at, math.max(latest, arrived))
  ask('PEXPIRE', w.key, lifetime(w, p))
end

-- Downwards at once and for all; never above our own limit. Forgotten again: what a window allows when a newer answer
-- says otherwise, all of it when the provider's window begins anew, and within the hour: one wrong figure must not stop
-- a day, in which no answer would come that could correct it.
local function learn()
  local known = s.learned and learned_of(s, now) or {}
  local counted = math.min(now, admitted + p.cap)  -- the provider had counted by then what it tells of
  for place, limit, left, resets in string.gmatch(learned, '(%d+) (%S+) (%S+) ([^%s,]+)') do
    local w = p.windows[tonumber(place)]
    limit, left, resets = tonumber(limit), tonumber(left), tonumber(resets)
    if limit then known[w.key] = limit < w.limit and { limit, now + math.min(resets or w.span, HOUR) } or nil end
    local allows = math.min(w.limit, limit or w.limit)
    local leaves = math.min(resets and now + resets or counted + w.span, now + HOUR)
    local missing = left and leaves > now and allows - left - in_use(w, now) or 0
    if missing > 0 then raise_use(w, missing, leaves) end
  end
  if next(known) then
    ask('HSET', KEYS[2], 'learned', cjson.encode(known))
  elseif s.learned then
    ask('HDEL', KEYS[2], 'learned')
  end
end

if learned ~= '' then
  learn()
  ask('PEXPIRE', KEYS[2], p.keep)
end

if advance(c, r, now) then write_circuit(c, p) end
if h then advance(h, r, now) end
local of_this_circuit = (c.name == 'closed' or c.name == 'ramp') and generation == c.generation
  and mode ~= 'disabled' and mode ~= 'forced_open'
local moves = outcome == 'not_sent' or probe ~= '0' or (of_this_circuit and (outcome == 'failure' or outcome == 'ok'))
local mark = string.sub(KEYS[2], 1, -6) .. 'reported:' .. id  -- KEYS[2] ends with 'state'

-- A second report moves nothing, nor does one of a permit from before Redis forgot. While all is well, one that ended
-- well leaves no mark: told twice, it is remembered as two that ended well.
local function first_time()
  if outcome == 'ok' and probe == '0' and c.name == 'closed' and c.failures == 0 then
    return ask('EXISTS', mark) == 0
  end
  return ask('SET', mark, 1, 'NX', 'PX', math.max(600000, 2 * r.lease))
end

if moves and born == s.epoch and first_time() then
  if outcome == 'not_sent' then give_back() end
  if probe == '2' or probe == '3' then host_probe_reported() end
  if probe == '1' or probe == '3' then own_probe_reported() elseif of_this_circuit then call_reported() end
end
return told(s, c, p, r, now, s.epoch)
