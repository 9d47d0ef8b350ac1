-- What became of a permit. KEYS: its record after the windows.
-- ARGV: policy, id, outcome, not before for ms, delay in ms where it is longer than the least guard or '', random.
-- Answers with the circuit afterwards:  <state> <failures> <generation> <opened or -> <until or ->

local id, outcome, retry, delay, random = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local now = clock()
local s = read_state()

-- The record of a permit can be taken once: a second report of it moves neither slots nor circuit.
local record = redis.call('GETDEL', KEYS[#KEYS])
local born, generation, cost, admitted, probe
if record then
  born, generation, cost, admitted, probe = string.match(record, '^(%d+) (%d+) (%d+) (%d+) (%d)$')
  born, generation, cost, admitted = tonumber(born), tonumber(generation), tonumber(cost), tonumber(admitted)
end

local p
if outcome ~= 'ok' or delay or s.circuit ~= 'closed' or s.failures > 0 then p = policy() end

local function give_back()
  for _, w in ipairs(p.windows) do
    if w.ring then
      for i = 1, cost do redis.call('ZREM', w.key, id .. ':' .. i) end
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
  if redis.call('ZREM', KEYS[3], id) == 0 then return end
  if outcome == 'failure' then
    s.failures = s.failures + 1
    open(s.reopened + 1)
  elseif outcome == 'ok' or outcome == 'neutral' then
    close()
  end
end

local function call_reported()
  if s.circuit ~= 'closed' or generation ~= s.generation then return end
  if outcome == 'failure' then
    s.failures = s.failures + 1
    if s.failures >= p.failures then open(0) else write_circuit(s, p) end
  elseif outcome == 'ok' and s.failures > 0 then
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
if record then
  if outcome == 'not_sent' and born == s.epoch then give_back() end
  if probe == '1' then probe_reported() else call_reported() end
end
return circuit_words(s)
