#!/bin/sh
# Makes a release's snapshot twice and compares the bytes, has lintian and mandoc read
# the package, and installs it into a fresh Debian in a folder: quickstart, manual page,
# completions in bash, zsh and fish.
#
#   scripts/release_check.sh [DEBIAN]     DEBIAN is a folder for debootstrap, made when missing
#
# Needs goreleaser and cyclonedx-gomod (docs/operations.md), and Debian's lintian, mandoc
# and debootstrap; root for the last part. Leaves the release in dist/.
set -eu
cd "$(dirname "$0")/.."
root=${1:-$(mktemp -d)/debian}
for tool in goreleaser cyclonedx-gomod lintian mandoc debootstrap; do
	command -v $tool >/dev/null || { echo "$0: no $tool here (docs/operations.md, \"Making a release\")" >&2; exit 1; }
done

# A snapshot's name has the time of the commit, never of the build.
goreleaser release --snapshot --clean --verbose=false
sums=$(mktemp)
sort dist/SHA256SUMS >"$sums"
goreleaser release --snapshot --clean --verbose=false
sort dist/SHA256SUMS | diff - "$sums" && echo "two builds, the same bytes: $(wc -l <"$sums") files"
ls -l dist/*.tar.gz dist/*.zip dist/*.deb dist/*.rpm

deb=$(ls dist/*_amd64.deb)
lintian --fail-on error,warning "$deb" && echo "lintian: nothing"
mandoc -T lint packaging/build/ecospa.1 && echo "mandoc: nothing"

[ -d "$root/usr" ] || debootstrap --variant=minbase --include=man-db,bash-completion,zsh,fish bookworm "$root"
cp "$deb" "$root/tmp/ecospa.deb"
mount -t proc proc "$root/proc"
trap 'umount "$root/proc"' EXIT
chroot "$root" /bin/sh -eu <<'EOF'
dpkg -i /tmp/ecospa.deb
ecospa version
man -w ecospa
bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader ecospa; COMP_WORDS=(ecospa pr); COMP_CWORD=1; _ecospa; printf "bash: %s\n" "${COMPREPLY[@]}"'
zsh -fc 'autoload -U compinit; compinit -u; print -l "zsh: ${_comps[ecospa]}"'
fish -c 'complete -C "ecospa pr"' | sed 's/^/fish: /'
cd /tmp && time ecospa pretrain -c quickstart
EOF
