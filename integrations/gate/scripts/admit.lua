-- Leave for one call, or why not and until when; all or nothing. ARGV: cost.
-- Answers:  permit <id> <admitted> <guard> <generation of the probe or -> <budget>
--           refusal <reason> <until>
--           seed <epoch>             the database must be asked first (seed.lua), then this again

local p = policy()
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

local probing, leased = s.circuit ~= 'closed', 0
if probing then
  if s.circuit == 'open' and now < s.until_ms then return 'refusal circuit_open ' .. s.until_ms end
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
  leased = redis.call('ZCARD', KEYS[3])
  if leased >= p.probes then
    return 'refusal circuit_open ' .. redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')[2]
  end
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

-- Calls that still count in a window; what left it is dropped for good.
local function used(w)
  if w.ring then
    redis.call('ZREMRANGEBYSCORE', w.key, '-inf', now - w.span)
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

local refused, span = nil, 0
local budget = probing and p.probes - leased - 1 or 1000000
for _, w in ipairs(p.windows) do
  w.used = used(w)
  local excess = w.used + cost - w.limit
  if excess > 0 then
    local frees = w.ring and ring_frees(w, excess) or buckets_free(w, excess)
    if not refused or frees > refused then refused, span = frees, w.span end
  end
  budget = math.min(budget, -excess)
end
if refused then return 'refusal ' .. (span >= HOUR and 'day_used ' or 'rate_limited ') .. refused end

local g = guard(s, p, now)
local arrives = now + g + 1  -- + 1: the clock above is cut down to whole milliseconds
local seq = s.seq + 1
local call = now .. '-' .. seq
for _, w in ipairs(p.windows) do
  if w.ring then
    for i = 1, cost do redis.call('ZADD', w.key, arrives, call .. ':' .. i) end
  else
    local at = math.floor(now / w.bucket)
    if w.used == 0 then
      redis.call('DEL', w.key)
      w.oldest, w.current = at, nil
    end
    redis.call('HSET', w.key, 'total', w.used + cost, 'oldest', w.oldest, at, (w.current or 0) + cost,
      'a' .. at, arrives)
  end
  if not w.current then redis.call('PEXPIRE', w.key, lifetime(w, p)) end
end

if probing then
  redis.call('ZADD', KEYS[3], now + p.lease, call)
  redis.call('PEXPIRE', KEYS[3], 2 * p.lease + 1000)
  s.circuit = 'half_open'
  write_circuit(s, p)
end
if math.floor(now / DAY) ~= math.floor(s.last / DAY) then
  -- Once a day is enough for what is kept a month.
  redis.call('PEXPIRE', KEYS[1], p.keep)
  redis.call('PEXPIRE', KEYS[2], p.keep)
end
redis.call('HSET', KEYS[2], 'seq', seq, 'last', now)
-- The permit carries its own record, so that nothing has to be stored for calls which end well.
local id = table.concat({ call, started, s.generation, cost, probing and 1 or 0 }, '-')
return table.concat({ 'permit', id, now, g, probing and s.generation or '-', budget }, ' ')
