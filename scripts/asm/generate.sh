#!/bin/sh
# Writes the assembly of pkg/kernel anew. Needs only Go.
set -e
cd "$(dirname "$0")"
go build -o /tmp/ecospa-asm .
for unit in tile512 tile256 pack pause peak; do
	/tmp/ecospa-asm -unit $unit -out ../../pkg/kernel/${unit}_amd64.s -pkg kernel
done
rm /tmp/ecospa-asm
