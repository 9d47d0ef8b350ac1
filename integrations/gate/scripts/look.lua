-- For pages; writes nothing. ARGV: limits.
-- Answers:  <now> <ready> <not before or -> <the circuit as shared.lua's told() has it> <used>... <allowed>...

local p = policy(0)
local r = rule()
local now = clock()
local s = read_state()
local started = epoch()
if s.epoch and s.epoch == started then now = math.max(now, s.last) end
local c = circuit_of(s.circuit)
advance(c, r, now)
if c.name == 'open' and now >= c.till then c.name = 'half_open' end
local not_before = s.not_before and s.not_before > now and s.not_before or '-'
local words = { now, (started or now) + p.cold, not_before, told(s, c, p, r, now, started) }
local h = host_of(p, started)
if h then advance(h, r, now) end
local share = mode_of(s, p, now) and 100 or math.min(percent(c, r), percent(h, r))
local known = s.learned and learned_of(s, now)
for _, w in ipairs(p.windows) do words[#words + 1] = in_use(w, now) end
for _, w in ipairs(p.windows) do words[#words + 1] = (allowed(w, share, now, known, 1)) end
return table.concat(words, ' ')
