-- Leave for one call, or why not and until when; all or nothing. ARGV: cost, policy.
-- Answers:  permit <id> <admitted> <guard> <generation of the probe or -> <budget>
--           refusal <reason> <until>
--           seed <epoch>             the database must be asked first (seed.lua), then this again

local cost = tonumber(ARGV[1])
local p = policy(2)
local now = clock()
local s = read_state()

local started = epoch()
local mine = started ~= nil and s.epoch == started
if not started or started > now + STEP or (mine and s.last > now + STEP) then
  started, mine = now, false
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'run_id', run_id(), 'started_ms', int(now))
end
redis.call('PEXPIRE', KEYS[1], int(p.keep))
if now < started + p.cold then return 'refusal gate_cold ' .. int(started + p.cold) end
if not mine or s.shape ~= p.shape then return 'seed ' .. int(started) end
now = math.max(now, s.last)

local probing, leased = s.circuit ~= 'closed', 0
if probing then
  if s.circuit == 'open' and now < s.until_ms then return 'refusal circuit_open ' .. int(s.until_ms) end
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', int(now))
  leased = redis.call('ZCARD', KEYS[3])
  if leased >= p.probes then
    return 'refusal circuit_open ' .. redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')[2]
  end
end

if s.not_before and now < s.not_before then return 'refusal not_before ' .. int(s.not_before) end

-- When a ring that lacks `excess` slots has them again.
local function ring_frees(w, excess)
  local at = int(excess - 1)
  return tonumber(redis.call('ZRANGE', w.key, at, at, 'WITHSCORES')[2]) + w.span
end

local function buckets_free(w, excess)
  local at, frees = w.oldest, now
  while excess > 0 do
    local b = redis.call('HMGET', w.key, int(at), 'a' .. int(at))
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
    redis.call('ZREMRANGEBYSCORE', w.key, '-inf', int(now - w.span))
    return redis.call('ZCARD', w.key)
  end
  local total, oldest, over = live(w, now)
  if #over > 0 then
    redis.call('HDEL', w.key, unpack(over))
    redis.call('HSET', w.key, 'total', int(total), 'oldest', int(oldest))
  end
  w.oldest = oldest
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
if refused then return 'refusal ' .. (span >= HOUR and 'day_used ' or 'rate_limited ') .. int(refused) end

local g = guard(s, p, now)
local arrives = int(now + g + 1)  -- + 1: the clock above is cut down to whole milliseconds
local seq = int(s.seq + 1)
local id = int(now) .. '-' .. seq
for _, w in ipairs(p.windows) do
  if w.ring then
    for i = 1, cost do redis.call('ZADD', w.key, arrives, id .. ':' .. i) end
  else
    local at = int(math.floor(now / w.bucket))
    if w.used == 0 then
      redis.call('DEL', w.key)
      w.oldest = at
    end
    redis.call('HINCRBY', w.key, at, cost)
    redis.call('HSET', w.key, 'total', int(w.used + cost), 'oldest', int(w.oldest), 'a' .. at, arrives)
  end
  redis.call('PEXPIRE', w.key, int(w.span + 2 * p.cap + w.bucket))
end

if probing then
  redis.call('ZADD', KEYS[3], int(now + p.lease), id)
  redis.call('PEXPIRE', KEYS[3], int(2 * p.lease + 1000))
  s.circuit = 'half_open'
  write_circuit(s, p)
end
redis.call('HSET', KEYS[2], 'seq', seq, 'last', int(now))
redis.call('PEXPIRE', KEYS[2], int(p.keep))
local record = table.concat({ int(started), int(s.generation), int(cost), int(now), probing and 1 or 0 }, ' ')
redis.call('SET', p.base .. ':permit:' .. id, record, 'PX', int(math.max(600000, 2 * p.lease)))
return table.concat({ 'permit', id, int(now), int(g), probing and int(s.generation) or '-',
  int(budget) }, ' ')
