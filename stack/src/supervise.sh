# Runs one server, and stops it when the process that holds the other end of our standard input is
# gone: stopped, crashed or killed. A process cannot clean up after its own kill -9, so this does.
#
#     sh -c SCRIPT NAME SIGNAL SECONDS PROGRAM [ARGUMENT]...
#
# We lead a process group of our own, for two reasons: a terminal's Ctrl-C then reaches Daybook
# alone, which stops its servers in order; and our helpers can be ended together, below.

signal=$1
seconds=$2
shift 2

# The server must not hold our pipe, nor read from it.
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!

# Nothing is ever written to the pipe, so this read returns when it closes.
(
  read -r _ <&3
  kill -s "$signal" "$server"
  while [ "$seconds" -gt 0 ] && kill -s 0 "$server"; do
    sleep 1
    seconds=$((seconds - 1))
  done
  # Long enough. Both servers recover from this at their next start.
  kill -s KILL "$server"
) 2>/dev/null &
exec 3<&-

wait "$server"
status=$?

# The helper, and its sleep, go with the server; a bare kill of the helper would leave the sleep.
trap '' TERM
kill -s TERM 0
exit "$status"
