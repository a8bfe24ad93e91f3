# What cases are written with.

java_options=(-Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1)
started=()

# java_of CLASS ARGUMENT…: one of Apache's programs, by its full name.
java_of() {
  java "${java_options[@]}" "-Dlog4j2.configurationFile=$here/log4j2.xml" -cp "$JARS/*" "$@"
}

# tool NAME ARGUMENT…: one of Apache's tools, told where the broker is.
tool() {
  local name=$1
  shift
  java_of "org.apache.kafka.tools.$name" --bootstrap-server "$BOOTSTRAP" "$@"
}

# start OUTPUT NAME ARGUMENT…: the same in the background; its process id is in $last. Its errors go to OUTPUT.err.
start() {
  local output=$1 name=$2
  shift 2
  java "${java_options[@]}" "-Dlog4j2.configurationFile=$here/log4j2.xml" -cp "$JARS/*" \
    "org.apache.kafka.tools.$name" "$@" > "$output" 2> "$output.err" &
  last=$!
  started+=("$last")
}

# Says where a case failed.
failed() {
  local at
  for ((at = 1; at < ${#FUNCNAME[@]}; at++)); do
    if [[ ${FUNCNAME[at]} == case_* ]]; then
      echo "failed at line ${BASH_LINENO[at - 1]} of $(basename "${BASH_SOURCE[at]}")"
    fi
  done
}

end_all() {
  local process
  for process in "${started[@]}"; do kill -KILL "$process" 2> /dev/null || true; done
  wait 2> /dev/null || true
}

topics() { tool TopicCommand "$@"; }
settings() { java_of kafka.admin.ConfigCommand --bootstrap-server "$BOOTSTRAP" "$@"; }
groups_of() { tool consumer.group.ConsumerGroupCommand "$@"; }

# make TOPIC PARTITIONS [SETTING…]
make() { topics --create --topic "$1" --partitions "$2" --replication-factor 1 "${@:3}"; }

# produce TOPIC COUNT [ARGUMENT…]: numbers from 0, each of them acknowledged.
produce() {
  tool VerifiableProducer --topic "$1" --max-messages "$2" "${@:3}" > "produced-$1.json"
  same 'acknowledged records' "$(grep -c '"name":"producer_send_success"' "produced-$1.json")" "$2"
}

# consume TOPIC OUTPUT [ARGUMENT…]: everything that there is, until nothing came for five seconds.
consume() {
  tool consumer.ConsoleConsumer --topic "$1" --from-beginning --timeout-ms 5000 "${@:3}" > "$2" 2> "$2.err" || true
}

# The different numbers that verifiable consumers reported.
numbers_in() { sed -n 's/.*"value":"\([0-9]*\)".*/\1/p' "$@" | sort -n | uniq; }
count_numbers() { numbers_in "$@" | wc -l; }

# same WHAT GOT WANTED
same() {
  [ "$2" = "$3" ] || { echo "$1: $2, not $3"; return 1; }
}

# has FILE PATTERN; lacks FILE PATTERN
has() {
  grep -Eq -- "$2" "$1" || { tail -n 20 "$1"; echo "$1 lacks /$2/"; return 1; }
}
lacks() {
  ! grep -Eq -- "$2" "$1" || { grep -E -- "$2" "$1" | head -n 5; echo "$1 has /$2/"; return 1; }
}

# refused OUTPUT COMMAND…: the command must fail.
refused() {
  local output=$1
  shift
  ! "$@" > "$output" 2>&1 || { echo "this should have been refused: $*"; return 1; }
}

# shown OUTPUT COMMAND…: the command must succeed; what it said is kept, and shown if it failed.
shown() {
  local output=$1
  shift
  "$@" > "$output" 2>&1 || { tail -n 20 "$output"; echo "failed: $*"; return 1; }
}

# within SECONDS CONDITION…
within() {
  local left=$(($1 * 2))
  shift
  until "$@"; do
    [ "$((left -= 1))" -gt 0 ] || { echo "not in time: $*"; return 1; }
    sleep 0.5
  done
}
