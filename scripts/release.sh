#!/bin/sh
# Builds the binaries of a release into dist/: linux and darwin, amd64 and arm64 (the
# portable path where there is no assembly), with SHA-256 checksums. They are static;
# those for linux whose names end in -mpi need glibc and run on several ranks.
#
#   scripts/release.sh VERSION
#
# The same source and Go version give the same bytes. Prints each file's size.
set -eu
[ $# -eq 1 ] || { echo "usage: $0 VERSION" >&2; exit 2; }
version=$1
case $version in *[!0-9A-Za-z.+-]* | '') echo "$0: version \"$version\", expected letters, digits, '.', '+' and '-'" >&2; exit 2 ;; esac
cd "$(dirname "$0")/.."
rm -rf dist
mkdir dist
for target in linux/amd64 linux/arm64 linux/amd64-mpi linux/arm64-mpi darwin/amd64 darwin/arm64; do
	os=${target%/*}; arch=${target#*/}
	name=ecospa-$version-$os-$arch
	tags=nompi
	case $arch in *-mpi) tags= arch=${arch%-mpi} ;; esac
	CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -tags "$tags" -trimpath -buildvcs=false \
		-ldflags "-s -w -X github.com/ecospa/ecospa/cmd.Version=$version" -o "dist/$name" .
	printf '%s\t%d bytes (%d.%d MiB)\n' "$name" $(wc -c <"dist/$name") $(wc -c <"dist/$name" | awk '{m=$1/1048576; printf "%d %d", int(m), int(10*(m-int(m)))}')
done
cp LICENSE dist/
cd dist
if command -v sha256sum >/dev/null; then sha256sum ecospa-*; else shasum -a 256 ecospa-*; fi >SHA256SUMS
cat SHA256SUMS
