#!/bin/sh
# Makes a release's snapshot twice, from two clones at two paths, and compares the bytes; has
# lintian and mandoc read the package; installs it into a fresh Debian in a folder (quickstart,
# manual page, completions in bash, zsh and fish); and installs the module as
# "go install MODULE@latest" does, to see which version it says.
#
#   scripts/release_check.sh [WORK]     WORK is a folder that is kept, by default a new one
#
# Needs goreleaser and cyclonedx-gomod (docs/operations.md), and Debian's lintian, mandoc
# and debootstrap; root for the last part. Leaves the release in WORK/a/dist, the fresh Debian in
# WORK/debian. COMMIT (default HEAD) is what is released; without a tag it is called v0.2.0.
set -eu
cd "$(dirname "$0")/.."
here=$PWD work=${1:-$(mktemp -d)} commit=$(git rev-parse "${COMMIT:-HEAD}")
for tool in goreleaser cyclonedx-gomod lintian mandoc debootstrap rpm; do
	command -v $tool >/dev/null || { echo "$0: no $tool here (docs/operations.md, \"Making a release\")" >&2; exit 1; }
done
mkdir -p "$work"

# A snapshot's name has the time of the commit, never of the build.
for n in a b; do
	rm -rf "${work:?}/$n"
	git clone -q . "$work/$n"
	git -C "$work/$n" checkout -q "$commit"
	git -C "$work/$n" describe --tags >/dev/null 2>&1 || git -C "$work/$n" tag v0.2.0
	(cd "$work/$n" && goreleaser release --snapshot --clean --verbose=false)
	sort "$work/$n/dist/SHA256SUMS" >"$work/$n.sums"
done
diff "$work/a.sums" "$work/b.sums"
echo "two builds, the same bytes: $(wc -l <"$work/a.sums") files"
cd "$work/a"
(cd dist && sha256sum --quiet -c SHA256SUMS) && echo "SHA256SUMS: as they say"
version=$(sed -n 's/.*"version": *"\([^"]*\)".*/\1/p' dist/metadata.json)
# The cache of the go command may have served both: the program once more, from nothing.
GOCACHE=$(mktemp -d) CGO_ENABLED=0 GOFLAGS= go build -trimpath -buildvcs=false \
	-ldflags "-s -w -buildid= -X github.com/ecospa/ecospa/cmd.release=$version" -o "$work/fresh" .
tar -xzOf "dist/ecospa-$version-linux-$(go env GOARCH).tar.gz" ecospa | cmp - "$work/fresh" && echo "a build with an empty cache: the same bytes"
ls -l dist/*.tar.gz dist/*.zip dist/*.deb dist/*.rpm dist/*.json dist/homebrew/* "$work/fresh"
echo "bills of materials: $(grep -l '"bomFormat": "CycloneDX"' dist/*.cdx.json | wc -l) in CycloneDX"
ruby -c dist/homebrew/ecospa.rb 2>/dev/null || echo "NOT RUN: no ruby here, so nobody has read the formula"

deb=$(ls dist/*_amd64.deb)
lintian --fail-on error,warning "$deb" && echo "lintian: nothing"
mandoc -T lint packaging/build/ecospa.1 && echo "mandoc: nothing"
rpm -qip dist/*.x86_64.rpm | sed -n '1,4p'
rpm -qlp dist/*.x86_64.rpm

# The module as the world gets it, from a proxy of files: its root without the modules within.
# Its version has the commit's time: the module cache would keep another commit under one name.
module=github.com/ecospa/ecospa proxy=$work/proxy stamp=1.98.$(git show -s --format=%ct HEAD)
at=$proxy/$module/@v
mkdir -p "$at"
set --
for mod in $(git ls-files '*/go.mod'); do set -- "$@" ":!$(dirname "$mod")"; done
git archive --format=zip --prefix="$module@v$stamp/" -o "$at/v$stamp.zip" HEAD . "$@"
cp go.mod "$at/v$stamp.mod"
printf '{"Version":"v%s","Time":"2026-11-27T00:00:00Z"}' "$stamp" >"$at/v$stamp.info"
echo v$stamp >"$at/list"
(cd / && GOPROXY="file://$proxy,$(go env GOPROXY)" GONOSUMDB=$module GOFLAGS="-trimpath -modcacherw" GOBIN="$work/bin" CGO_ENABLED=0 go install "$module@latest")
case $("$work/bin/ecospa" version) in
"ecospa version $stamp") echo "go install $module@latest: says $stamp" ;;
*) echo "go install $module@latest: says $("$work/bin/ecospa" version), expected $stamp" >&2; exit 1 ;;
esac
rm -rf "$(go env GOMODCACHE)/$module@v$stamp" "$(go env GOMODCACHE)/cache/download/$module"

root=$work/debian
[ -d "$root/usr" ] || debootstrap --variant=minbase --include=man-db,bash-completion,zsh,fish bookworm "$root"
cp "$deb" "$root/tmp/ecospa.deb"
cp "$here/scripts/release_complete.zsh" "$root/tmp/complete.zsh"
mount -t proc proc "$root/proc"
mount -t devpts devpts "$root/dev/pts" # zsh is asked on a terminal
trap 'umount "$root/proc" "$root/dev/pts"' EXIT
chroot "$root" /bin/bash -eu <<'EOS'
export HOME=/root LC_ALL=C.UTF-8
dpkg -i /tmp/ecospa.deb
ecospa version
man ecospa | head -8
. /usr/share/bash-completion/bash_completion
_completion_loader ecospa || [ $? = 124 ]
COMP_WORDS=(ecospa pr) COMP_CWORD=1
_ecospa
printf 'bash: %s\n' "${COMPREPLY[@]}"
zsh -f /tmp/complete.zsh "ecospa pr" | sed 's/^/zsh: /'
fish -c 'complete -C "ecospa pr"' | sed 's/^/fish: /'
cd /tmp
time ecospa pretrain -c quickstart
ecospa generate --model runs/quickstart --prompt 'One day' --tokens 20
ecospa report runs/quickstart
dpkg -r ecospa
EOS
echo "all of the release was seen to work"
