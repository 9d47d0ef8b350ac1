-- What became of a permit.
-- ARGV: id, outcome, not before for ms, delay in ms where it is longer than the least guard or '', random.
-- Answers with the circuit afterwards:  <state> <failures> <generation> <opened or -> <until or -> <times reopened>

local id, outcome, retry, delay, random = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

-- By far the most frequent report: all is well, and stays so.
local known = redis.call('HGET', KEYS[2], 'circuit')
if outcome == 'ok' and not delay and known and string.sub(known, 1, 9) == 'closed 0 ' then return known end

local p = policy()
local now = clock()
local s = read_state()
local admitted, seq, born, generation, cost, probe = string.match(id, '^(%d+)-(%d+)-(%d+)-(%d+)-(%d+)-([01])$')
local call = admitted .. '-' .. seq
admitted, born, generation, cost = tonumber(admitted), tonumber(born), tonumber(generation), tonumber(cost)

local function give_back()
  for _, w in ipairs(p.windows) do
    if w.ring then
      for i = 1, cost do redis.call('ZREM', w.key, call .. ':' .. i) end
    else
      local at = math.floor(admitted / w.bucket)
      if redis.call('HEXISTS', w.key, at) == 1 then
        redis.call('HINCRBY', w.key, at, -cost)
        redis.call('HINCRBY', w.key, 'total', -cost)
      end
    end
  end
end

local function open(reopened)
  local length = math.min(p.max_open, p.open * 2 ^ math.min(reopened, 30))
  length = math.min(p.max_open, length * (0.9 + 0.2 * random))
  s.circuit, s.generation, s.reopened = 'open', s.generation + 1, reopened
  s.opened, s.until_ms = now, now + math.floor(length)
  redis.call('DEL', KEYS[3])
  write_circuit(s, p)
end

local function close()
  s.circuit, s.failures, s.generation, s.reopened = 'closed', 0, s.generation + 1, 0
  s.opened, s.until_ms = nil, nil
  redis.call('DEL', KEYS[3])
  write_circuit(s, p)
end

local function probe_reported()
  -- Taking it out of the leases gives the probe back; no longer in there means its lease went to another.
  if redis.call('ZREM', KEYS[3], call) == 0 then return end
  if outcome == 'failure' then
    s.failures = s.failures + 1
    open(s.reopened + 1)
  elseif outcome == 'ok' or outcome == 'neutral' then
    close()
  end
end

local function call_reported()
  if outcome == 'failure' then
    s.failures = s.failures + 1
    if s.failures >= p.failures then open(0) else write_circuit(s, p) end
  elseif outcome == 'ok' then
    s.failures = 0
    write_circuit(s, p)
  end
end

if delay and delay > guard(s, p, now) then
  redis.call('HSET', KEYS[2], 'guard', math.min(p.cap, math.ceil(delay)), 'guard_at', now)
  redis.call('PEXPIRE', KEYS[2], p.keep)
end
if outcome == 'rate_limited' then
  redis.call('HSET', KEYS[2], 'not_before', math.max(s.not_before or 0, now + retry))
  redis.call('PEXPIRE', KEYS[2], p.keep)
end

local of_this_circuit = s.circuit == 'closed' and generation == s.generation
local moves = outcome == 'not_sent' or probe == '1' or
  (of_this_circuit and (outcome == 'failure' or (outcome == 'ok' and s.failures > 0)))
local mark = string.sub(KEYS[2], 1, -6) .. 'reported:' .. id  -- KEYS[2] ends with 'state'
-- A second report moves nothing, nor does one of a permit from before Redis forgot.
if moves and born == s.epoch and redis.call('SET', mark, 1, 'NX', 'PX', math.max(600000, 2 * p.lease)) then
  if outcome == 'not_sent' then give_back() end
  if probe == '1' then probe_reported() elseif of_this_circuit then call_reported() end
end
return circuit_words(s)
