-- Put in front of every script of the gate.
--
-- KEYS  1 epoch   hash {run_id, started_ms}: since when this Redis remembers without a gap
--       2 state   hash of the scope: circuit (see CIRCUIT), calls (the last ones counted: . well, f failed, s slow,
--                 b both), mode (what a person set: name, until, epoch), hand (when that was decided), would (how often, when last), learned (JSON
--                 {window key: {limit, until}}), not_before, guard and since when, the epoch it was seeded in, its
--                 shape, number and time of the last admission
--       3 probes  sorted set: permit id -> end of its lease; only while half-open
--       4 host    string: epoch and circuit of the provider's host; beside it <host>:opened, a sorted set of the
--                 scopes whose own circuit opened lately, and <host>:probes
--       5..       one per window
--                 ring     sorted set: call -> latest moment it may reach the provider
--                 buckets  hash: total, oldest, <n> -> calls, a<n> -> latest moment they may reach the provider
-- ARGV    what each script says of it, then the limit of each window, then the account: '' where none shares the limit
-- POLICY  what plan.py wrote of the scope's windows and circuit; in front of this text, numbers only
--
-- Numbers are whole and below 2^46, so Lua and Redis write them out exactly.
--
-- A call admitted at a under guard g reaches the provider in [a, a + g]. It leaves a window of length W when
-- a + g + W has passed: then no later admission, which arrives at its own a or after, can stand in one window
-- with it, whatever guard the later one is given.

local ask = redis.call

local STEP = 1000            -- a clock that went back further than this (ms) makes all stored times worthless
local LONG = 60000           -- windows longer than this are seeded, not waited out
local HALF_LIFE = 300000     -- of what an observed delay added to the guard
local AGREE = 60000          -- circuits of two scopes that opened within this (ms) open their host's
local MINUTE = 60000
local HOUR = 3600000
local DAY = 86400000

-- CIRCUIT: name, failures in a row, generation, opened, until, times reopened, closed, step of the ramp, calls that
-- went well in that step, why it opened. `ramp` is closed, but recovering; then `until` ends the step.
local CLOSED = 'closed 0 0 - - 0 - 0 0 -'

-- A 429 stops the account that got it.
local NOT_BEFORE = ARGV[#ARGV] == '' and 'not_before' or 'not_before:' .. ARGV[#ARGV]

local function clock()
  local t = ask('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function circuit_of(text)
  local name, failures, generation, opened, till, reopened, closed, step, well, cause =
    string.match(text, '^(%S+) (%d+) (%d+) (%S+) (%S+) (%d+) (%S+) (%d+) (%d+) (%S+)$')
  if not name then return circuit_of(CLOSED) end
  return {
    name = name, failures = tonumber(failures), generation = tonumber(generation), opened = tonumber(opened),
    till = tonumber(till), reopened = tonumber(reopened), closed = tonumber(closed), step = tonumber(step),
    well = tonumber(well), cause = cause,
  }
end

local function circuit_words(c)
  return table.concat({
    c.name, c.failures, c.generation, c.opened or '-', c.till or '-', c.reopened, c.closed or '-', c.step, c.well,
    c.cause,
  }, ' ')
end

local function read_state()
  local v = ask('HMGET', KEYS[2], 'circuit', NOT_BEFORE, 'guard', 'guard_at', 'epoch', 'shape', 'seq', 'last',
    'mode', 'learned')
  return {
    circuit = v[1] or CLOSED, not_before = tonumber(v[2]), guard = tonumber(v[3]), guard_at = tonumber(v[4]),
    epoch = tonumber(v[5]), shape = tonumber(v[6]), seq = tonumber(v[7]) or 0, last = tonumber(v[8]) or 0,
    mode = v[9], learned = v[10],
  }
end

-- What is in force in place of the circuit, and until when; nil: the circuit is.
local function mode_of(s, p, now)
  if s.mode then
    local name, till = string.match(s.mode, '^(%S+) (%S+) %S+$')
    till = tonumber(till)
    if name ~= 'none' and not (till and till <= now) then return name, till end
  end
  if p.metrics_only then return 'metrics_only' end
end

-- The circuit of the host in this epoch; nil: closed.
local function host_of(p, started)
  local text = p.host and ask('GET', KEYS[4])
  if not text then return nil end
  local born, words = string.match(text, '^(%d+) (.+)$')
  return tonumber(born) == started and circuit_of(words) or nil
end

-- Moves a recovering circuit on to the step its time has come to; whether it was moved to its end.
local function advance(c, r, now)
  if c.name ~= 'ramp' then return false end
  while c.step <= #r.ramp and now >= c.till do
    c.step, c.well, c.till = c.step + 1, 0, c.till + r.ramp_step
  end
  if c.step <= #r.ramp then return false end
  c.name, c.till, c.step = 'closed', nil, 0
  return true
end

-- What share of the short windows is open to use while it recovers, in percent.
local function percent(c, r) return c and c.name == 'ramp' and r.ramp[c.step] or 100 end

-- The server process itself says which one it is: nothing a client believes can be out of date here.
local function run_id()
  return string.match(ask('INFO', 'server'), 'run_id:(%x+)')
end

-- Since when this Redis remembers. That it is the epoch of this very process, greet.lua has seen to.
local function epoch() return tonumber(ask('HGET', KEYS[1], 'started_ms')) end

local function begin_epoch(process, now, keep)
  ask('DEL', KEYS[1])
  ask('HSET', KEYS[1], 'run_id', process, 'started_ms', now)
  ask('PEXPIRE', KEYS[1], keep)
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
  local h = ask('HMGET', w.key, 'total', 'oldest', current)
  local total, at, over = tonumber(h[1]) or 0, tonumber(h[2]), {}
  -- No call of a bucket can have arrived before it began: most often that settles it without a look inside.
  while total > 0 and at * w.bucket + w.span <= now do
    local b = ask('HMGET', w.key, at, 'a' .. at)
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

local function in_use(w, now)
  if w.ring then return ask('ZCOUNT', w.key, '(' .. (now - w.span), '+inf') end
  return (live(w, now))
end

-- How long a window's key is kept after the last sub-bucket was begun.
local function lifetime(w, p) return w.span + 2 * p.cap + 2 * w.bucket end

-- A ring's key is renewed once in so long, and then kept twice as long.
local function period(w, p) return math.max(10 * MINUTE, lifetime(w, p)) end

-- What the provider said of its windows: key -> {limit, until}; what is over is left out.
local function learned_of(s, now)
  local known = {}
  for key, one in pairs(cjson.decode(s.learned)) do
    if one[2] > now then known[key] = one end
  end
  return known
end

-- What a window allows now, and when that changes by itself (nil: it is its own limit). `share`: percent(); one call
-- of a larger cost than that passes when nothing else is in the window.
local function allowed(w, share, step_ends, known, cost)
  local limit, changes = w.limit, nil
  if share < 100 and w.span <= LONG then limit, changes = math.max(1, math.floor(limit * share / 100)), step_ends end
  local one = known and known[w.key]
  if one and one[1] < limit then limit, changes = one[1], math.min(changes or one[2], one[2]) end
  if changes and cost > limit then limit = cost end
  return limit, changes
end

local function write_circuit(c, p)
  ask('HSET', KEYS[2], 'circuit', circuit_words(c))
  ask('PEXPIRE', KEYS[2], p.keep)
end

local function write_host(h, started, p)
  ask('SET', KEYS[4], started .. ' ' .. circuit_words(h), 'PX', p.keep)
end

-- random: [0, 1). Whoever opens again without having been healthy for long stays open longer.
local function open(c, r, now, cause, random)
  local again = c.name == 'open' or c.name == 'half_open' or (c.closed and now - c.closed < r.healthy)
  c.reopened = again and c.reopened + 1 or 0
  local length = math.min(r.max_open, r.open * 2 ^ math.min(c.reopened, 30))
  length = math.min(r.max_open, length * (0.9 + 0.2 * random))
  c.name, c.generation, c.cause = 'open', c.generation + 1, cause
  c.opened, c.till = now, now + math.floor(length)
end

local function close(c, r, now, at_once)
  c.failures, c.generation, c.opened, c.till = 0, c.generation + 1, nil, nil
  c.closed, c.step, c.well = now, 0, 0
  c.name = 'closed'
  if #r.ramp > 0 and not at_once then c.name, c.step, c.till = 'ramp', 1, now + r.ramp_step end
end

-- The circuit as gate.py reads it: its words, what is in force, until when, percent, would have opened: how often, when
-- last, host's name, host's until.
local function told(s, c, p, r, now, started)
  local name, till = mode_of(s, p, now)
  local h = host_of(p, started)
  if h then advance(h, r, now) end
  return table.concat({
    circuit_words(c), name or '-', till or '-', name and 100 or math.min(percent(c, r), percent(h, r)),
    ask('HGET', KEYS[2], 'would') or '0 -', h and h.name or '-', h and h.till or '-',
  }, ' ')
end
