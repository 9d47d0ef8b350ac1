-- Whatever is remembered counts no more: calls were made that were not counted here. KEYS: epoch. ARGV: how long to keep it.

begin_epoch(run_id(), clock(), tonumber(ARGV[1]))
return 'renewed'
