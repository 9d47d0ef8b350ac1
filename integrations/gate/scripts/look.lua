-- For pages; writes nothing.
-- Answers:  <now> <ready> <not before or -> <state> <failures> <generation> <opened or -> <until or ->
--           <times reopened> <used>...

local p = policy()
local now = clock()
local s = read_state()
if s.epoch and s.epoch == epoch() then now = math.max(now, s.last) end
if s.circuit == 'open' and now >= s.until_ms then s.circuit = 'half_open' end
local not_before = s.not_before and s.not_before > now and s.not_before or '-'
local words = { now, (epoch() or now) + p.cold, not_before, circuit_words(s) }
for _, w in ipairs(p.windows) do
  local used
  if w.ring then
    used = redis.call('ZCOUNT', w.key, '(' .. (now - w.span), '+inf')
  else
    used = live(w, now)
  end
  words[#words + 1] = used
end
return table.concat(words, ' ')
