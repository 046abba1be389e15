#!/bin/sh
# Writes the vector assembly of pkg/kernel anew. Needs only Go.
set -e
cd "$(dirname "$0")/.."
go build -o /tmp/ecospa-vec ./vec
for bits in 512 256; do
	/tmp/ecospa-vec -isa $bits -block -out ../../pkg/kernel/block${bits}_amd64.s -pkg kernel
	/tmp/ecospa-vec -isa $bits -out ../../pkg/kernel/vec${bits}_amd64.s -stubs ../../pkg/kernel/vec${bits}_amd64.go -pkg kernel
done
rm /tmp/ecospa-vec
