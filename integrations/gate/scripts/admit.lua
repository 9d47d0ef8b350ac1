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
local c, h = nil, host_of(p, started)
local generation, probe, probed = string.match(s.circuit, '^closed %d+ (%d+)'), 0, '-'
local share, step_ends, spare = 100, nil, 1000000

-- Answers with the refusal, if there is one.
local function circuits()
  local r, mode, till = rule(), mode_of(s, p, now)
  c = circuit_of(s.circuit)

  local function due(circuit) return circuit ~= nil and (circuit.name == 'open' or circuit.name == 'half_open') end

  -- Whether a probe of that circuit may go now; if not, when to ask again.
  local function probe_free(circuit, leases, probes)
    if circuit.name == 'open' and now < circuit.till then return false, circuit.till end
    ask('ZREMRANGEBYSCORE', leases, '-inf', now)
    local leased = ask('ZCARD', leases)
    spare = math.min(spare, probes - leased - 1)
    if leased < probes then return true end
    return false, ask('ZRANGE', leases, 0, 0, 'WITHSCORES')[2]
  end

  local function recovering(circuit)
    share = math.min(share, percent(circuit, r))
    if circuit.name == 'ramp' then step_ends = math.min(step_ends or circuit.till, circuit.till) end
  end

  -- Asked again within a minute: it may be taken back.
  if mode == 'forced_open' then return 'refusal forced_open ' .. math.min(till or now + MINUTE, now + MINUTE) end
  if s.mode and not mode then ask('HDEL', KEYS[2], 'mode', 'would') end
  if mode then
    if c.name ~= 'closed' then
      close(c, r, now, true)
      ask('DEL', KEYS[3])
      write_circuit(c, p)
    end
    return nil
  end
  if advance(c, r, now) then write_circuit(c, p) end
  if h and advance(h, r, now) then write_host(h, started, p) end
  if due(c) then
    local free, again = probe_free(c, KEYS[3], r.probes)
    if not free then return 'refusal circuit_open ' .. again end
    probe, probed = 1, c.generation
  end
  if due(h) then
    local free, again = probe_free(h, KEYS[4] .. ':probes', 1)
    if not free then return 'refusal host_open ' .. again end
    if probe == 0 then probed = h.generation end
    probe = probe + 2
  end
  recovering(c)
  if h then recovering(h) end
end

if not generation or h or s.mode or p.metrics_only then
  local refusal = circuits()
  if refusal then return refusal end
  generation = c.generation
end

if s.not_before and now < s.not_before then return 'refusal not_before ' .. s.not_before end

-- When a window that lacks `excess` slots has them again.
local function frees_at(w, excess)
  if w.ring then return tonumber(ask('ZRANGE', w.key, excess - 1, excess - 1, 'WITHSCORES')[2]) + w.span end
  local at, frees = w.oldest, now
  while excess > 0 do
    local b = ask('HMGET', w.key, at, 'a' .. at)
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
    local held = ask('ZCARD', w.key)
    if 2 * (held + cost) <= limit or held == 0 then return held end
    if ask('ZREMRANGEBYSCORE', w.key, '-inf', now - w.span) == 0 then return held end
    return ask('ZCARD', w.key)
  end
  local total, oldest, over, current = live(w, now)
  if #over > 0 then
    ask('HDEL', w.key, unpack(over))
    ask('HSET', w.key, 'total', total, 'oldest', oldest)
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
    local frees = frees_at(w, excess)
    if changes and changes < frees then frees = changes end
    if not refused or frees > refused then refused, span = frees, w.span end
  end
  budget = math.min(budget, -excess)
end
if refused then return 'refusal ' .. (span >= HOUR and 'day_used ' or 'rate_limited ') .. refused end

local g = guard(s, p, now)
local arrives = tostring(now + g + 1)  -- + 1: the clock above is cut down to whole milliseconds
local seq, at_now = tostring(s.seq + 1), tostring(now)  -- writing a number out is dear: once
local call = at_now .. '-' .. seq
for _, w in ipairs(p.windows) do
  if w.ring then
    if cost == 1 then
      ask('ZADD', w.key, arrives, call)
    else
      local entries = { arrives, call }
      for i = 2, cost do
        entries[2 * i - 1] = arrives
        entries[2 * i] = call .. ':' .. i
      end
      ask('ZADD', w.key, unpack(entries))
    end
    local often = period(w, p)
    if w.used == 0 or math.floor(now / often) ~= math.floor(s.last / often) then
      ask('PEXPIRE', w.key, 2 * often)
    end
  else
    local at = tostring(math.floor(now / w.bucket))
    if w.used == 0 then
      ask('DEL', w.key)
      w.current = nil
    end
    ask('HSET', w.key, 'total', w.used + cost, at, (w.current or 0) + cost, 'a' .. at, arrives)
    if w.used == 0 then ask('HSET', w.key, 'oldest', at) end
    if not w.current then ask('PEXPIRE', w.key, lifetime(w, p)) end
  end
end

if probe > 0 then
  local lasts = rule().lease
  local function lease(leases)
    ask('ZADD', leases, now + lasts, call)
    ask('PEXPIRE', leases, 2 * lasts + 1000)
  end
  if probe ~= 2 then
    lease(KEYS[3])
    c.name = 'half_open'
    write_circuit(c, p)
  end
  if probe ~= 1 then
    lease(KEYS[4] .. ':probes')
    h.name = 'half_open'
    write_host(h, started, p)
  end
end
if math.floor(now / DAY) ~= math.floor(s.last / DAY) then
  -- Once a day is enough for what is kept a month.
  ask('PEXPIRE', KEYS[1], p.keep)
  ask('PEXPIRE', KEYS[2], p.keep)
end
ask('HSET', KEYS[2], 'seq', seq, 'last', at_now)
-- The permit carries its own record, so that nothing has to be stored for calls which end well.
return 'permit ' .. call .. '-' .. started .. '-' .. generation .. '-' .. cost .. '-' .. probe .. ' ' .. at_now .. ' '
  .. g .. ' ' .. probed .. ' ' .. budget
