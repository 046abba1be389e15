#!/bin/sh
# Writes what a release holds besides the binaries into packaging/build: the manual
# page and the completions, as this source prints them.
set -eu
cd "$(dirname "$0")/.."
out=packaging/build
rm -rf "$out"
mkdir -p "$out/completions"
CGO_ENABLED=0 go build -buildvcs=true -o "$out/ecospa" .
"$out/ecospa" man >"$out/ecospa.1"
gzip -9n <"$out/ecospa.1" >"$out/ecospa.1.gz"
gzip -9n <packaging/changelog >"$out/changelog.gz"
"$out/ecospa" completion bash >"$out/completions/ecospa.bash"
"$out/ecospa" completion zsh >"$out/completions/_ecospa"
"$out/ecospa" completion fish >"$out/completions/ecospa.fish"
rm "$out/ecospa"
