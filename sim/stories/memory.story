# Memory for eight environments on two workers: what is idle goes for what is called, what is busy does not.
account 1000 unlimited
machine 2 workers of 4 GB
policy fixed-10m
function a 1024 MB starts 1s runs 20s
function b 1024 MB starts 1s runs 20s

at 08:00 a 8
at 08:01 b 6            # six of a's make room
at 08:01:05 a 2         # two of them are warm still
at 08:01:06 b 1         # none is idle now
at 08:12 b 1            # ten minutes after its last use the rest has gone

expect 08:00..08:01 a cold 8
expect 08:01..08:01:01 b cold 6
expect 08:01:05..08:01:06 a warm 2
expect 08:01:06..08:02 b memory 1
expect 08:12..08:13 b cold 1
