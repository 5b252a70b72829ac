#!/usr/bin/env bash
# Runs every fuzz target of the module for a while each.  usage: fuzz.sh [DURATION]
set -euo pipefail
duration=${1:-30s}
targets=$(go test -list '^Fuzz' ./... | awk '/^Fuzz/ { name[++n] = $1 } /^ok/ { for (i = 1; i <= n; i++) print $2, name[i]; n = 0 }')
while read -r package name; do
	[ -n "$name" ] || continue
	echo "fuzz: $name in $package for $duration"
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$duration" "$package"
done <<<"$targets"
