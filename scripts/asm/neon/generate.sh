#!/bin/sh
# Writes the assembly of pkg/kernel for arm64 anew. Needs only Go.
set -e
cd "$(dirname "$0")/.."
go build -o /tmp/ecospa-neon ./neon
for unit in vec products; do
	/tmp/ecospa-neon -unit $unit -out ../../pkg/kernel/${unit}neon_arm64.s -stubs ../../pkg/kernel/${unit}neon_arm64.go
done
rm /tmp/ecospa-neon
