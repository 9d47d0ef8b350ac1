-- What the database remembers goes into a Redis that forgot; once per epoch and scope, a second time does nothing.
-- ARGV: epoch, and as JSON {circuit = {state, failures, generation, opened, until}, not_before,
--       used = one list of {start, calls} per window}; what is not known is left out.
-- The larger memory wins: after a restart with data kept Redis may know calls the database has not yet.

local p = policy()
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
  redis.call('ZREMRANGEBYSCORE', w.key, '-inf', now - w.span)
  local calls = 0
  for _, b in ipairs(r) do calls = calls + b[2] end
  if calls <= redis.call('ZCARD', w.key) then return end
  redis.call('DEL', w.key)
  for i, b in ipairs(r) do
    for call = 1, b[2] do
      redis.call('ZADD', w.key, latest(w, b[1]), 'seed:' .. i .. ':' .. call)
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
    local old = redis.call('HMGET', w.key, at, 'a' .. at)
    redis.call('HSET', w.key, at, math.max(b.calls, tonumber(old[1]) or 0),
      'a' .. at, math.max(b.arrives, tonumber(old[2]) or 0))
  end
  local total, oldest = 0, nil
  local all = redis.call('HGETALL', w.key)
  for i = 1, #all, 2 do
    local at = tonumber(all[i])
    if at then
      total = total + tonumber(all[i + 1])
      oldest = math.min(oldest or at, at)
    end
  end
  if oldest then redis.call('HSET', w.key, 'total', total, 'oldest', oldest) end
end

for i, w in ipairs(p.windows) do
  if w.span <= LONG then
    -- All that was admitted before this epoch has left the short windows by now.
    if fresh then redis.call('DEL', w.key) end
  else
    if w.ring then fill_ring(w, seed.used[i]) else fill_buckets(w, seed.used[i]) end
    redis.call('PEXPIRE', w.key, lifetime(w, p))
  end
end

if fresh then
  redis.call('DEL', KEYS[3])
  local c = seed.circuit
  if c and (c.generation > s.generation or not s.epoch) then
    s.circuit, s.failures, s.generation = c.state, c.failures, c.generation
    s.opened, s.until_ms, s.reopened = c.opened, c['until'], 0
    if s.circuit ~= 'closed' and s.opened and s.until_ms and s.until_ms > s.opened then
      s.reopened = math.max(0, math.floor(math.log((s.until_ms - s.opened) / p.open) / math.log(2) + 0.5))
    end
  end
  -- Its probes are gone with the leases, so a half-open circuit is an open one whose time has come.
  if s.circuit ~= 'closed' then
    s.circuit, s.until_ms = 'open', math.min(s.until_ms or now, now + p.max_open)
  end
  local not_before = math.min(math.max(s.not_before or 0, seed.not_before or 0), now + HOUR)
  redis.call('HSET', KEYS[2], 'not_before', not_before, 'last', now)
end
redis.call('HSET', KEYS[2], 'epoch', started, 'shape', p.shape)
write_circuit(s, p)
return 'seeded'
