#!/bin/sh
# Makes the documentation's static site: index.html, docs/, a search; nothing in it needs
# a network.
#
#   scripts/site.sh [OUT]      dist/site without one
set -eu
cd "$(dirname "$0")/.."
root=$PWD
out=${1:-dist/site}
case $out in /*) ;; *) out=$root/$out ;; esac
GOFLAGS=-mod=mod go -C scripts/site run . "$root" "$out"
echo "$out/index.html"
