# What the demonstrations share, to be sourced: a folder of their own that goes away
# with them, a service in it, people with keys, and commands that are printed as a
# person would type them.
here=$PWD
export PATH="$here/bin:$PATH"
work=$(mktemp -d "${TMPDIR:-/tmp}/custody-demo.XXXXXX")
service='' minio=''
cleanup() {
  local code=$?
  # Why the service refused to go on, only its own log says; it goes away with the folder.
  [ "$code" = 0 ] || [ ! -s "$work/serve.log" ] || { echo "demo: exit code $code; the last that the service said:" >&2; tail -n 5 "$work/serve.log" >&2; }
  [ -z "$service" ] || kill "$service" 2>/dev/null || true
  [ -z "$minio" ] || kill "$minio" 2>/dev/null || true
  wait 2>/dev/null || true
  [ -n "${KEEP:-}" ] || rm -rf "$work"
}
trap cleanup EXIT

step() { printf '\n== %s\n' "$*"; }
# run prints a command as it would be typed, and what it prints.
run() {
  printf '\n$'; printf ' %q' "$@"; printf '\n'
  "$@" 2>&1 | tee out
}
# refused runs a command that must be refused (exit code 1) with this text.
refused() {
  local text=$1 code=0; shift
  printf '\n$'; printf ' %q' "$@"; printf '\n'
  "$@" >out 2>&1 || code=$?
  cat out
  [ "$code" = 1 ] || { echo "demo: exit code $code instead of 1" >&2; exit 1; }
  grep -q -- "$text" out || { echo "demo: \"$text\" was expected" >&2; exit 1; }
}
must() { grep -q -- "$1" out || { echo "demo: \"$1\" was expected above" >&2; exit 1; }; }
field() { sed -n "s/.*\"$1\": \"\\([^\"]*\\)\".*/\\1/p" "$2" | head -n 1; }
as() { local who=$1; shift; run custody --home "$who" "$@"; }
newcomer() { # home, name, title
  run custody --home "$1" key new --server "$url" --trust trust.json --name "$2" --title "$3" --contact "$1@example.org"
}
enroll() { # home, roles…
  local who=$1; shift
  local args=()
  for r in "$@"; do args+=(--role "$r"); done
  as admin principal enroll "$who/enrolment.json" ${args[@]+"${args[@]}"}
  local id; id=$(grep -o 'p-[a-z2-7]\{16\}' out | head -n 1)
  as "$who" login --principal "$id"
}
# serve starts the service in the folder service, and sets url and code.
serve() {
  printf '\n$ custody serve --dir service &\n'
  custody serve --dir service 2>serve.log &
  service=$!
  for _ in $(seq 200); do grep -q 'first --code' serve.log && break; sleep 0.05; done
  grep '^custody' serve.log
  url=$(sed -n 's/.*serving .* at \(http[^ ]*\) .*/\1/p' serve.log | head -n 1)
  code=$(sed -n 's/.*--first --code \(.*\)$/\1/p' serve.log | head -n 1)
  [ -n "$url" ] && [ -n "$code" ] || { cat serve.log >&2; exit 1; }
  cp service/trust.json .
}
stop() { kill "$service"; wait "$service" || true; service=''; echo "stopped"; }
