# As Lambda scales since: each function by itself, 1,000 environments in ten seconds, refilled evenly.
account 10000 per-function
function one 128 MB starts 100ms runs 10m
function two 128 MB starts 100ms runs 10m

at 09:00 one 1500
at 09:00 two 1000
at 09:00:05 one 1000    # half of it came back
at 09:01 one 1000

expect 09:00..09:00:01 one cold 1000
expect 09:00..09:00:01 one scaling rate 500
expect 09:00..09:00:01 two cold 1000
expect 09:00:05..09:00:06 one cold 500
expect 09:01..09:02 one cold 1000
expect 09:00..10:00 two throttled 0
