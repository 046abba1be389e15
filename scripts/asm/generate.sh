#!/bin/sh
# Writes the assembly of pkg/kernel anew. Needs only Go.
set -e
cd "$(dirname "$0")"
go build -o /tmp/ecospa-asm .
for unit in pause peak tile256 tile512 tilebf16 pack256 pack512 packbf16 skinny256 panel256 skinny512 skinnybf16 int8 int8vnni; do
	/tmp/ecospa-asm -unit $unit -out ../../pkg/kernel/${unit}_amd64.s -pkg kernel
done
rm /tmp/ecospa-asm
