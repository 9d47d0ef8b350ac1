-- Put in front of every script of the gate.
--
-- KEYS  1 epoch   hash {run_id, started_ms}: since when this Redis remembers without a gap
--       2 state   hash of the scope: circuit (state, failures, generation, opened, until, times reopened),
--                 not_before, guard and since when, the epoch it was seeded in, last admission
--       3 probes  sorted set: permit id -> end of its lease; only while half-open
--       4..       one per window
--                 ring     sorted set: call -> latest moment it may reach the provider
--                 buckets  hash: total, oldest, <n> -> calls, a<n> -> latest moment they may reach the provider
-- POLICY  what plan.py wrote of the scope's windows and circuit; in front of this text, numbers only
--
-- Numbers are whole and below 2^46, so Lua and Redis write them out exactly.
--
-- A call admitted at a under guard g reaches the provider in [a, a + g]. It leaves a window of length W when
-- a + g + W has passed: then no later admission, which arrives at its own a or after, can stand in one window
-- with it, whatever guard the later one is given.

local STEP = 1000            -- a clock that went back further than this (ms) makes all stored times worthless
local LONG = 60000           -- windows longer than this are seeded, not waited out
local HALF_LIFE = 300000     -- of what an observed delay added to the guard
local HOUR = 3600000
local DAY = 86400000

local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function read_state()
  local v = redis.call('HMGET', KEYS[2], 'circuit', 'not_before', 'guard', 'guard_at', 'epoch', 'shape', 'seq', 'last')
  local s = {
    not_before = tonumber(v[2]), guard = tonumber(v[3]), guard_at = tonumber(v[4]),
    epoch = tonumber(v[5]), shape = tonumber(v[6]), seq = tonumber(v[7]) or 0, last = tonumber(v[8]) or 0,
  }
  local name, failures, generation, opened, till, reopened =
    string.match(v[1] or 'closed 0 0 - - 0', '^(%S+) (%d+) (%d+) (%S+) (%S+) (%d+)$')
  s.circuit, s.failures, s.generation = name, tonumber(failures), tonumber(generation)
  s.opened, s.until_ms, s.reopened = tonumber(opened), tonumber(till), tonumber(reopened)
  return s
end

-- The server process itself says which one it is: nothing a client believes can be out of date here.
local function run_id()
  return string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
end

-- Since when this Redis remembers. That it is the epoch of this very process, greet.lua has seen to.
local function epoch() return tonumber(redis.call('HGET', KEYS[1], 'started_ms')) end

local function begin_epoch(process, now, keep)
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'run_id', process, 'started_ms', now)
  redis.call('PEXPIRE', KEYS[1], keep)
end

local function guard(s, p, now)
  if not s.guard or s.guard <= p.floor then return p.floor end
  local age = math.max(0, now - (s.guard_at or now))
  local g = p.floor + (s.guard - p.floor) * 0.5 ^ (age / HALF_LIFE)
  return math.min(p.cap, math.ceil(g))
end

-- The calls of the sub-buckets that still count, where these begin, the fields of those that count no more, and the
-- calls of the current one (nil: none yet).
local function live(w, now)
  local current = math.floor(now / w.bucket)
  local h = redis.call('HMGET', w.key, 'total', 'oldest', current)
  local total, at, over = tonumber(h[1]) or 0, tonumber(h[2]), {}
  -- No call of a bucket can have arrived before it began: most often that settles it without a look inside.
  while total > 0 and at * w.bucket + w.span <= now do
    local b = redis.call('HMGET', w.key, at, 'a' .. at)
    if b[1] then
      if tonumber(b[2]) + w.span > now then break end
      total = total - tonumber(b[1])
      over[#over + 1] = at
      over[#over + 1] = 'a' .. at
    end
    at = at + 1
  end
  return total, at, over, tonumber(h[3])
end

-- How long a window's key is kept after the last sub-bucket was begun, or the last call in a ring.
local function lifetime(w, p) return w.span + 2 * p.cap + 2 * w.bucket end

local function circuit_words(s)
  return table.concat({ s.circuit, s.failures, s.generation, s.opened or '-', s.until_ms or '-', s.reopened }, ' ')
end

local function write_circuit(s, p)
  redis.call('HSET', KEYS[2], 'circuit', circuit_words(s))
  redis.call('PEXPIRE', KEYS[2], p.keep)
end
