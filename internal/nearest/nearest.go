// Package nearest finds the valid name that a user most likely meant. It knows
// nothing of what the names stand for.
package nearest

import "fmt"

// Name returns the name with the fewest edits (a letter added, taken out,
// changed, or two neighbours swapped) away from what was typed, the first of
// equals; "" where even that one needs more edits than a third of its letters,
// rounded up, or as many as it has.
func Name(typed string, names []string) string {
	best, least := "", -1
	for _, n := range names {
		d := distance([]rune(typed), []rune(n))
		letters := len([]rune(n))
		if most := (letters + 2) / 3; d <= most && d < letters && (least < 0 || d < least) {
			best, least = n, d
		}
	}
	return best
}

// Hint returns "; did you mean NAME?" for an error message, "" where no name
// is near.
func Hint(typed string, names []string) string {
	if n := Name(typed, names); n != "" {
		return fmt.Sprintf("; did you mean %q?", n)
	}
	return ""
}

// distance is the restricted Damerau-Levenshtein distance.
func distance(a, b []rune) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			d := min(change, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
