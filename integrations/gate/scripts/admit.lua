-- Leave for one call, or why not and until when; all or nothing. ARGV: cost, limits.
-- Answers:  permit <id> <admitted> <guard> <generation of the probe or -> <budget>
--           refusal <reason> <until>
--           seed <epoch>             the database must be asked first (seed.lua), then this again

local p = policy(1)
local cost = tonumber(ARGV[1])
local now = clock()
local s = read_state()

local started = epoch()
local mine = started ~= nil and s.epoch == started
if not started or started > now + STEP or (mine and s.last > now + STEP) then
  started, mine = now, false
  begin_epoch(run_id(), now, p.keep)
end
if now < started + p.cold then return 'refusal gate_cold ' .. (started + p.cold) end
if not mine or s.shape ~= p.shape then return 'seed ' .. started end
now = math.max(now, s.last)

-- The circuits. Most often both are closed and nobody set anything.
local c = circuit_of(s.circuit)
local h = host_of(p, started)
local own_probe, host_probe = false, false
local share, step_ends, spare = 100, nil, 1000000

local function due(circuit) return circuit ~= nil and (circuit.name == 'open' or circuit.name == 'half_open') end

-- Whether a probe of that circuit may go now; if not, when to ask again.
local function probe_free(circuit, leases, allowed_probes)
  if circuit.name == 'open' and now < circuit.till then return false, circuit.till end
  redis.call('ZREMRANGEBYSCORE', leases, '-inf', now)
  local leased = redis.call('ZCARD', leases)
  spare = math.min(spare, allowed_probes - leased - 1)
  if leased < allowed_probes then return true end
  return false, redis.call('ZRANGE', leases, 0, 0, 'WITHSCORES')[2]
end

local function recovering(circuit, r)
  if percent(circuit, r) < share then share = percent(circuit, r) end
  if circuit.name == 'ramp' then step_ends = math.min(step_ends or circuit.till, circuit.till) end
end

-- Answers with the refusal, if there is one.
local function circuits()
  local r, mode, till = rule(), mode_of(s, p, now)
  -- Asked again within a minute: it may be taken back.
  if mode == 'forced_open' then return 'refusal forced_open ' .. math.min(till or now + MINUTE, now + MINUTE) end
  if mode then
    if c.name ~= 'closed' then
      close(c, r, now, true)
      redis.call('DEL', KEYS[3])
      write_circuit(c, p)
    end
    return nil
  end
  if advance(c, r, now) then write_circuit(c, p) end
  if h and advance(h, r, now) then write_host(h, started, p) end
  own_probe, host_probe = due(c), due(h)
  if own_probe then
    local free, again = probe_free(c, KEYS[3], r.probes)
    if not free then return 'refusal circuit_open ' .. again end
  end
  if host_probe then
    local free, again = probe_free(h, KEYS[4] .. ':probes', 1)
    if not free then return 'refusal host_open ' .. again end
  end
  recovering(c, r)
  if h then recovering(h, r) end
end

if c.name ~= 'closed' or h or s.mode or p.metrics_only then
  local refusal = circuits()
  if refusal then return refusal end
end

if s.not_before and now < s.not_before then return 'refusal not_before ' .. s.not_before end

-- When a ring that lacks `excess` slots has them again.
local function ring_frees(w, excess)
  local at = excess - 1
  return tonumber(redis.call('ZRANGE', w.key, at, at, 'WITHSCORES')[2]) + w.span
end

local function buckets_free(w, excess)
  local at, frees = w.oldest, now
  while excess > 0 do
    local b = redis.call('HMGET', w.key, at, 'a' .. at)
    if b[1] then
      excess = excess - tonumber(b[1])
      frees = math.max(frees, tonumber(b[2]) + w.span)
    end
    at = at + 1
  end
  return frees
end

-- Calls that still count in a window; what left it is dropped for good. While a ring is less than half full, those it
-- holds are taken for calls that count: the budget then is too small rather than too large.
local function used(w, limit)
  if w.ring then
    local held = redis.call('ZCARD', w.key)
    if 2 * (held + cost) <= limit or held == 0 then return held end
    if redis.call('ZREMRANGEBYSCORE', w.key, '-inf', now - w.span) == 0 then return held end
    return redis.call('ZCARD', w.key)
  end
  local total, oldest, over, current = live(w, now)
  if #over > 0 then
    redis.call('HDEL', w.key, unpack(over))
    redis.call('HSET', w.key, 'total', total, 'oldest', oldest)
  end
  w.oldest, w.current = oldest, current
  return total
end

local known = s.learned and learned_of(s, now)
local refused, span = nil, 0
local budget = spare
for _, w in ipairs(p.windows) do
  local limit, changes = w.limit, nil
  if known or share < 100 then limit, changes = allowed(w, share, step_ends, known, cost) end
  w.used = used(w, limit)
  local excess = w.used + cost - limit
  if excess > 0 then
    local frees = w.ring and ring_frees(w, excess) or buckets_free(w, excess)
    if changes and changes < frees then frees = changes end
    if not refused or frees > refused then refused, span = frees, w.span end
  end
  budget = math.min(budget, -excess)
end
if refused then return 'refusal ' .. (span >= HOUR and 'day_used ' or 'rate_limited ') .. refused end

local g = guard(s, p, now)
local arrives = now + g + 1  -- + 1: the clock above is cut down to whole milliseconds
local seq = s.seq + 1
local call = now .. '-' .. seq

local function into_ring(w)
  if cost == 1 then
    redis.call('ZADD', w.key, arrives, call)
  else
    local entries = {}
    for i = 1, cost do
      entries[2 * i - 1] = arrives
      entries[2 * i] = i == 1 and call or call .. ':' .. i
    end
    redis.call('ZADD', w.key, unpack(entries))
  end
  local often = period(w, p)
  if w.used == 0 or math.floor(now / often) ~= math.floor(s.last / often) then
    redis.call('PEXPIRE', w.key, 2 * often)
  end
end

local function into_buckets(w)
  local at = math.floor(now / w.bucket)
  if w.used == 0 then
    redis.call('DEL', w.key)
    w.oldest, w.current = at, nil
  end
  redis.call('HSET', w.key, 'total', w.used + cost, 'oldest', w.oldest, at, (w.current or 0) + cost, 'a' .. at, arrives)
  if not w.current then redis.call('PEXPIRE', w.key, lifetime(w, p)) end
end

for _, w in ipairs(p.windows) do
  if w.ring then into_ring(w) else into_buckets(w) end
end

local function lease(leases)
  local lasts = rule().lease
  redis.call('ZADD', leases, now + lasts, call)
  redis.call('PEXPIRE', leases, 2 * lasts + 1000)
end

if own_probe then
  lease(KEYS[3])
  c.name = 'half_open'
  write_circuit(c, p)
end
if host_probe then
  lease(KEYS[4] .. ':probes')
  h.name = 'half_open'
  write_host(h, started, p)
end
if math.floor(now / DAY) ~= math.floor(s.last / DAY) then
  -- Once a day is enough for what is kept a month.
  redis.call('PEXPIRE', KEYS[1], p.keep)
  redis.call('PEXPIRE', KEYS[2], p.keep)
end
redis.call('HSET', KEYS[2], 'seq', seq, 'last', now)
-- The permit carries its own record, so that nothing has to be stored for calls which end well.
local probe = (own_probe and 1 or 0) + (host_probe and 2 or 0)
local id = call .. '-' .. started .. '-' .. c.generation .. '-' .. cost .. '-' .. probe
local generation = own_probe and c.generation or host_probe and h.generation or '-'
return 'permit ' .. id .. ' ' .. now .. ' ' .. g .. ' ' .. generation .. ' ' .. budget
