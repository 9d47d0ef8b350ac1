-- A person's hand on the circuit. ARGV: forced_open, disabled, metrics_only, closed or none; until when or ''; when that
-- was decided, or 0.
-- Answers with the circuit afterwards as shared.lua's told() does. Written beside the epoch it is of: until the scope
-- is seeded it stands against what the database said before.

local p = policy(100)
local r = rule()
local now = clock()
local s = read_state()
local started = epoch()
if not started then
  started = now
  begin_epoch(run_id(), now, p.keep)
end
local c = circuit_of(s.circuit)
local name, till, since = ARGV[1], ARGV[2], tonumber(ARGV[3])
local before = mode_of(s, p, now)

-- Of two the later stands, whichever is told first.
if since > 0 then
  if since <= (tonumber(ask('HGET', KEYS[2], 'hand')) or 0) then return told(s, c, p, r, now, started) end
  ask('HSET', KEYS[2], 'hand', since)
end
ask('DEL', KEYS[3])
ask('HDEL', KEYS[2], 'calls', 'would')
if name == 'forced_open' then
  -- Beneath it the circuit is open, so that what follows is probed and recovers step by step.
  c.name, c.generation, c.opened, c.till, c.cause = 'open', c.generation + 1, now, tonumber(till) or now, 'person'
elseif name == 'none' and before == 'forced_open' then
  c.till = now
elseif name == 'closed' then
  close(c, r, now)
  local h = host_of(p, started)
  if h and h.name ~= 'closed' then
    close(h, r, now)
    ask('DEL', KEYS[4] .. ':probes', KEYS[4] .. ':opened')
    write_host(h, started, p)
  end
elseif name ~= 'none' then
  close(c, r, now, true)
end
write_circuit(c, p)

local kept = (name == 'closed' and 'none' or name) .. ' ' .. (till == '' and '-' or till) .. ' ' .. started
if kept == 'none - ' .. started and s.epoch == started then
  ask('HDEL', KEYS[2], 'mode')
  s.mode = nil
else
  ask('HSET', KEYS[2], 'mode', kept)
  s.mode = kept
end
if c.name == 'open' and now >= c.till then c.name = 'half_open' end
return told(s, c, p, r, now, started)
