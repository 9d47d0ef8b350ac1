-- What the database remembers goes into a Redis that forgot; once per epoch and scope, a second time does nothing.
-- ARGV: epoch, circuit ('' = unknown), failures, generation, opened, until, not before ('' = none),
--       number of buckets, then (index of the window, start, calls) each, then the policy.
-- The larger memory wins: after a restart with data kept Redis may know calls the database has not yet.

local buckets = tonumber(ARGV[8])
local p = policy(9 + 3 * buckets)
local now = clock()
local s = read_state()
local started = epoch()
if not started or int(started) ~= ARGV[1] then return 'stale' end
local fresh = s.epoch ~= started
if not fresh and s.shape == p.shape then return 'done' end

local remembered = {}
for i = 1, #p.windows do remembered[i] = { total = 0 } end
for i = 0, buckets - 1 do
  local r = remembered[tonumber(ARGV[9 + 3 * i])]
  local start, calls = tonumber(ARGV[10 + 3 * i]), tonumber(ARGV[11 + 3 * i])
  r[#r + 1] = { start = start, calls = calls }
  r.total = r.total + calls
end

-- The latest a call of that bucket can have reached the provider.
local function latest(w, start) return math.min(start + w.bucket, now) + p.cap end

local function fill_ring(w, r)
  redis.call('ZREMRANGEBYSCORE', w.key, '-inf', int(now - w.span))
  if r.total <= redis.call('ZCARD', w.key) then return end
  redis.call('DEL', w.key)
  for i, b in ipairs(r) do
    for call = 1, b.calls do
      redis.call('ZADD', w.key, int(latest(w, b.start)), 'seed:' .. i .. ':' .. call)
    end
  end
end

local function fill_buckets(w, r)
  local seeded = {}
  for _, b in ipairs(r) do
    local at = math.floor(b.start / w.bucket)
    local known = seeded[at] or { calls = 0, arrives = 0 }
    known.calls, known.arrives = known.calls + b.calls, math.max(known.arrives, latest(w, b.start))
    seeded[at] = known
  end
  for at, b in pairs(seeded) do
    local old = redis.call('HMGET', w.key, int(at), 'a' .. int(at))
    redis.call('HSET', w.key, int(at), int(math.max(b.calls, tonumber(old[1]) or 0)),
      'a' .. int(at), int(math.max(b.arrives, tonumber(old[2]) or 0)))
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
  if oldest then redis.call('HSET', w.key, 'total', int(total), 'oldest', int(oldest)) end
end

for i, w in ipairs(p.windows) do
  if w.span <= LONG then
    -- All that was admitted before this epoch has left the short windows by now.
    if fresh then redis.call('DEL', w.key) end
  else
    if w.ring then fill_ring(w, remembered[i]) else fill_buckets(w, remembered[i]) end
    redis.call('PEXPIRE', w.key, int(w.span + 2 * p.cap + w.bucket))
  end
end

if fresh then
  redis.call('DEL', KEYS[3])
  local generation = tonumber(ARGV[4]) or 0
  if ARGV[2] ~= '' and generation >= s.generation then
    s.circuit, s.failures, s.generation = ARGV[2], tonumber(ARGV[3]), generation
    s.opened, s.until_ms, s.reopened = tonumber(ARGV[5]), tonumber(ARGV[6]), 0
    if s.circuit ~= 'closed' and s.opened and s.until_ms and s.until_ms > s.opened then
      s.reopened = math.max(0, math.floor(math.log((s.until_ms - s.opened) / p.open) / math.log(2) + 0.5))
    end
  end
  -- Its probes are gone with the leases, so a half-open circuit is an open one whose time has come.
  if s.circuit ~= 'closed' then
    s.circuit, s.until_ms = 'open', math.min(s.until_ms or now, now + p.max_open)
  end
  local not_before = math.min(math.max(s.not_before or 0, tonumber(ARGV[7]) or 0), now + HOUR)
  redis.call('HSET', KEYS[2], 'not_before', int(not_before), 'last', int(now))
end
redis.call('HSET', KEYS[2], 'epoch', int(started), 'shape', p.shape)
write_circuit(s, p)
return 'seeded'
