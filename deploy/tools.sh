#!/usr/bin/env bash
# tools.sh NAME...: put the programs that building and testing need where the Makefile looks for them.
#
# Go programs go to .tools/bin (or $CUSTODY_TOOLS) at the versions written below; what is there at that version is
# left alone. System programs come from Debian's packages, as root; anywhere else the script says what to install
# and fails. Needs Go, make and git to begin with, and nothing else.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bin=${CUSTODY_TOOLS:-$root/.tools/bin}
log=$root/.tools/install.log
export PATH=$PATH:/usr/sbin:/sbin

usage() {
	echo "usage: deploy/tools.sh NAME..." >&2
	echo "names: litewitness omniwitness spicy tessera-fsck tessera-mirror tessera-migrate tessera-log peers minio versitygw postgresql trillian_log_server trillian_log_signer mc rclone restic golangci-lint govulncheck gotestsum gcc fuse3 e2fsprogs openssh-client xz ewf-tools qemu-utils curl openssl formats chromium papers shacl" >&2
	exit 2
}

fail() {
	echo "tools.sh: $*" >&2
	exit 1
}

# from_go PACKAGE VERSION [NAME]: install one Go program, unless it is there at this version.
from_go() {
	local package=$1 version=$2 name=${3:-${1##*/}} made
	if [[ -x $bin/$name ]] && go version -m "$bin/$name" 2>/dev/null | grep -qP "^\tmod\t\S+\t\Q$version\E(\t|$)"; then
		return
	fi
	echo "tools.sh: building $name $version"
	made=$(mktemp -d "$bin/.made.XXXXXX")
	(cd / && CGO_ENABLED=0 GOBIN=$made go install -trimpath -ldflags "-s -w" "$package@$version") >"$log" 2>&1 ||
		{ rm -rf "$made"; fail "could not build $name $version; see $log"; }
	mv "$made/${package##*/}" "$bin/$name" && rmdir "$made"
}

# from_here: build the programs of deploy/peers, a module of its own.
from_here() {
	(cd "$root/deploy/peers" && CGO_ENABLED=0 GOBIN=$bin go install -trimpath ./...) >"$log" 2>&1 || fail "could not build deploy/peers; see $log"
}

# from_npm NAME: the program of deploy/NAME, main.mjs, with exactly what its package-lock.json lists.
from_npm() {
	local from=$root/deploy/$1 made=$bin/.$1
	if ! cmp -s "$from/package-lock.json" "$made/package-lock.json" || [[ ! -x $bin/$1 ]]; then
		echo "tools.sh: installing deploy/$1 from npm"
		rm -rf "$made" "${bin:?}/$1" && mkdir -p "$made" && cp "$from"/package*.json "$made"
		(cd "$made" && npm ci --ignore-scripts --no-audit --no-fund) >"$log" 2>&1 || fail "could not install deploy/$1; see $log"
		printf '#!/bin/sh\nexec node "%s/main.mjs" "$@"\n' "$(cd "$made" && pwd)" >"$bin/$1" && chmod +x "$bin/$1"
	fi
	cp "$from/main.mjs" "$made"
}

# from_debian PROGRAM PACKAGE...: install the packages, unless the program is there.
from_debian() {
	local program=$1
	shift
	if command -v "$program" >/dev/null; then
		return
	fi
	if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
		fail "$program is missing: install it (Debian packages: $*), then try again"
	fi
	echo "tools.sh: installing $*"
	{ apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "$@"; } \
		>"$log" 2>&1 </dev/null || fail "could not install $*; see $log"
}

[[ $# -gt 0 ]] || usage
mkdir -p "$bin" "$(dirname "$log")"
for name in "$@"; do
	case $name in
	# The last MinIO there will be; its licence is AGPL-3.0: a separate process for tests, never linked.
	minio) from_go github.com/minio/minio v0.0.0-20260212201848-7aac2a2c5b7c ;;
	# A second S3 server, Apache-2.0, for tests.
	versitygw) from_go github.com/versity/versitygw/cmd/versitygw v1.8.0 ;;
	# The peers of make bench-storage.
	mc) from_go github.com/minio/mc v0.0.0-20250313080218-cf909e1063a9 ;;
	rclone) from_go github.com/rclone/rclone v1.76.0 ;;
	# A browser, for the page that verifies.
	chromium) from_debian chromium chromium ;;
	restic) from_debian restic restic ;;
	# Witnesses of others, which cosign this log in tests.
	litewitness) from_go filippo.io/torchwood/cmd/litewitness v0.9.0 ;;
	# A verifier of others, for proofs.
	spicy) from_go filippo.io/torchwood/cmd/spicy v0.9.0 ;;
	omniwitness) from_go github.com/transparency-dev/witness/cmd/omniwitness v0.0.0-20260720115447-2e1c6971d19e ;;
	# Readers of others: what they say of this log is tested.
	tessera-fsck) from_go github.com/transparency-dev/tessera/cmd/fsck v1.0.4 "$name" ;;
	tessera-mirror) from_go github.com/transparency-dev/tessera/cmd/experimental/mirror/posix v1.0.4 "$name" ;;
	tessera-migrate) from_go github.com/transparency-dev/tessera/cmd/experimental/migrate/posix v1.0.4 "$name" ;;
	# A log of others, which custody witness cosigns.
	tessera-log) from_go github.com/transparency-dev/tessera/cmd/examples/posix-oneshot v1.0.4 "$name" ;;
	# A log of others to be measured beside, and a reader of others: tessera-bench, torchwood-read.
	peers) from_here ;;
	# A log server and log signer of Trillian's, at the version that is linked, and the database that they keep a log in.
	trillian_log_server | trillian_log_signer) GOFLAGS=-tags=postgresql from_go "github.com/google/trillian/cmd/$name" v1.8.0 ;;
	postgresql) from_debian /usr/lib/postgresql/*/bin/initdb postgresql ;;
	golangci-lint) from_go github.com/golangci/golangci-lint/v2/cmd/golangci-lint v2.15.0 ;;
	govulncheck) from_go golang.org/x/vuln/cmd/govulncheck v1.9.0 ;;
	gotestsum) from_go gotest.tools/gotestsum v1.13.0 ;;
	gcc) from_debian gcc gcc libc6-dev ;; # the race detector
	fuse3) from_debian fusermount3 fuse3 ;; # deploy/lossyfs, for those who are not root
	e2fsprogs) from_debian mke2fs e2fsprogs ;;
	openssh-client) from_debian ssh-agent openssh-client ;; # its agent is tried with keys of people
	ewf-tools) from_debian ewfacquirestream ewf-tools ;; # writes and reads the images that custody/format/ewf is held against
	qemu-utils) from_debian qemu-img qemu-utils ;;
	openssl) from_debian openssl openssl ;; # a time-stamping authority, and a verifier, of others
	curl) from_debian curl curl ;; # a script's HTTP client, which sends evidence as a stream
	formats) # makers of what custody/format recognizes
		for pair in mkfs.vfat:dosfstools mkntfs:ntfs-3g mkfs.xfs:xfsprogs sfdisk:fdisk mkswap:util-linux 7zz:7zip bzip2:bzip2 xz:xz-utils zstd:zstd zip:zip sqlite3:sqlite3 gcore:gdb; do
			from_debian "${pair%:*}" "${pair#*:}"
		done ;;
	papers) # readers of others: what custody/paper writes is read back with them
		for pair in pdftotext:poppler-utils qpdf:qpdf zbarimg:zbar-tools; do
			from_debian "${pair%:*}" "${pair#*:}"
		done ;;
	shacl) # holds custody/paper/caseuco's exports against the shapes of CASE
		from_debian npm npm
		from_npm shacl ;;
	xz) from_debian xz xz-utils ;;
	*) usage ;;
	esac
done
