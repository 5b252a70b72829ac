#!/usr/bin/env bash
# Keeps what fuzzing found worth trying: copies, for each fuzz target, the smallest inputs that Go's fuzzing cache has gathered into
# the target's testdata/fuzz, where every `go test` tries them.  usage: corpus.sh [COUNT]
set -euo pipefail
count=${1:-24}
module=$(go list -m)
cache=$(go env GOCACHE)/fuzz
for folder in "$cache/$module"/*/ "$cache/$module"/*/*/ "$cache/$module"/*/*/*/ "$cache/$module"/*/*/*/*/; do
	name=$(basename "$folder")
	[[ $name == Fuzz* ]] || continue
	package=${folder#"$cache/$module/"}
	package=$(dirname "$package")
	grep -qsr "^func $name(" "$package" --include='*_test.go' || continue
	kept=$package/testdata/fuzz/$name
	mkdir -p "$kept"
	find "$folder" -type f -size -20k -printf '%s %p\n' | sort -n | awk -v n="$count" 'NR <= n' | while read -r _ file; do
		cp "$file" "$kept/"
	done
done
