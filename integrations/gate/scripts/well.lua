-- In front of all else of report.lua: by far the most frequent report is that all is well, and stays so. Then nothing
-- has to be made ready, and the circuit's words are the answer.
--
-- That the host's circuit may be open is left out: the next admission says it.

local ask = redis.call
if QUIET and ARGV[2] == 'ok' and ARGV[4] == '' and ARGV[5] == '' and ARGV[6] == '' then
  local k = ask('HMGET', KEYS[2], 'circuit', 'calls', 'mode')
  if k[1] and string.sub(k[1], 1, 9) == 'closed 0 ' and (k[2] or '') == GOOD and not k[3] then return k[1] end
end
