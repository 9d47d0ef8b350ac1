-- What the database remembers goes into a Redis that forgot; once per epoch and scope, a second time does nothing.
-- ARGV: epoch, and as JSON {circuit = {state, failures, generation, opened, until, cause}, mode = {name, until},
--       not_before, used = one list of {start, calls} per window}; what is not known is left out.
-- The larger memory wins: after a restart with data kept Redis may know calls the database has not yet.

local p = policy(100)
local r = rule()
local seed = cjson.decode(ARGV[2])
local now = clock()
local s = read_state()
local started = epoch()
if started ~= tonumber(ARGV[1]) then return 'stale' end
local fresh = s.epoch ~= started
if not fresh and s.shape == p.shape then return 'done' end

-- The latest a call of that bucket can have reached the provider.
local function latest(w, start) return math.min(start + w.bucket, now) + p.cap end

local function fill_ring(w, r)
  ask('ZREMRANGEBYSCORE', w.key, '-inf', now - w.span)
  local calls = 0
  for _, b in ipairs(r) do calls = calls + b[2] end
  if calls <= ask('ZCARD', w.key) then return end
  ask('DEL', w.key)
  for i, b in ipairs(r) do
    for call = 1, b[2] do
      ask('ZADD', w.key, latest(w, b[1]), 'seed:' .. i .. ':' .. call)
    end
  end
end

local function fill_buckets(w, r)
  local seeded = {}
  for _, b in ipairs(r) do
    local at = math.floor(b[1] / w.bucket)
    local known = seeded[at] or { calls = 0, arrives = 0 }
    known.calls, known.arrives = known.calls + b[2], math.max(known.arrives, latest(w, b[1]))
    seeded[at] = known
  end
  for at, b in pairs(seeded) do
    local old = ask('HMGET', w.key, at, 'a' .. at)
    ask('HSET', w.key, at, math.max(b.calls, tonumber(old[1]) or 0),
      'a' .. at, math.max(b.arrives, tonumber(old[2]) or 0))
  end
  local total, oldest = 0, nil
  local all = ask('HGETALL', w.key)
  for i = 1, #all, 2 do
    local at = tonumber(all[i])
    if at then
      total = total + tonumber(all[i + 1])
      oldest = math.min(oldest or at, at)
    end
  end
  if oldest then ask('HSET', w.key, 'total', total, 'oldest', oldest) end
end

for i, w in ipairs(p.windows) do
  if w.span <= LONG then
    -- All that was admitted before this epoch has left the short windows by now.
    if fresh then ask('DEL', w.key) end
  else
    if w.ring then fill_ring(w, seed.used[i]) else fill_buckets(w, seed.used[i]) end
    ask('PEXPIRE', w.key, 2 * period(w, p))
  end
end

local c = circuit_of(s.circuit)
if fresh then
  ask('DEL', KEYS[3])
  ask('HDEL', KEYS[2], 'learned')
  local told = seed.circuit
  if told and (told.generation > c.generation or not s.epoch) then
    c.name, c.failures, c.generation = told.state, told.failures, told.generation
    c.opened, c.till, c.reopened, c.cause = told.opened, told['until'], 0, told.cause
    if c.name ~= 'closed' and c.opened and c.till and c.till > c.opened then
      c.reopened = math.max(0, math.floor(math.log((c.till - c.opened) / r.open) / math.log(2) + 0.5))
    end
  end
  if c.name == 'closed' or c.name == 'ramp' then
    c.opened, c.till = nil, nil
    -- How far it had recovered is not known: from the first step.
    if c.name == 'ramp' then close(c, r, now) end
  else
    -- Its probes are gone with the leases, so a half-open circuit is an open one whose time has come.
    c.name, c.till = 'open', math.min(c.till or now, now + r.max_open)
  end
  local kept = s.mode and tonumber(string.match(s.mode, '%d+$')) == started
  if not kept and seed.mode then
    ask('HSET', KEYS[2], 'mode', seed.mode[1] .. ' ' .. (seed.mode[2] or '-') .. ' ' .. started)
  elseif not kept or string.sub(s.mode, 1, 5) == 'none ' then
    ask('HDEL', KEYS[2], 'mode')
  end
  local not_before = math.min(math.max(s.not_before or 0, seed.not_before or 0), now + HOUR)
  ask('HSET', KEYS[2], NOT_BEFORE, not_before, 'last', now)
end
ask('HSET', KEYS[2], 'epoch', started, 'shape', p.shape)
write_circuit(c, p)
return 'seeded'
