package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hone-ml/hone/passes"
)

// rows is a table of names and what belongs to them.
type rows [][2]string

func (r rows) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, row := range r {
		fmt.Fprintf(t, "%s\t%s\n", row[0], row[1])
	}
	_ = t.Flush()
}

// plural counts things.
func plural(n int, what string) string {
	if n != 1 {
		head, tail, _ := strings.Cut(what, " ")
		what = strings.TrimSpace(head + "s " + tail)
	}
	return fmt.Sprintf("%d %s", n, what)
}

// size writes a number of bytes for people.
func size[N int | int64](bytes N) string {
	switch b := float64(bytes); {
	case b >= 1e9:
		return fmt.Sprintf("%.2f GB", b/1e9)
	case b >= 1e6:
		return fmt.Sprintf("%.1f MB", b/1e6)
	case b >= 1e3:
		return fmt.Sprintf("%.1f KB", b/1e3)
	}
	return fmt.Sprintf("%d bytes", bytes)
}

// printPasses shows what each pass did, its runs taken together, in the order
// of their first run.
func printPasses(w io.Writer, stats []passes.Stat) {
	var names []string
	runs := map[string]int{}
	sum := map[string]passes.Stat{}
	for _, s := range stats {
		if runs[s.Pass] == 0 {
			names = append(names, s.Pass)
		}
		runs[s.Pass]++
		total := sum[s.Pass]
		total.Time += s.Time
		total.Applications += s.Applications
		total.OpsBefore += s.OpsBefore
		total.OpsAfter += s.OpsAfter
		sum[s.Pass] = total
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "pass\truns\tchanges\toperators\tms\t")
	var all time.Duration
	for _, n := range names {
		s := sum[n]
		all += s.Time
		fmt.Fprintf(t, "%s\t%d\t%d\t%+d\t%.2f\t\n", n, runs[n], s.Applications, s.OpsAfter-s.OpsBefore, ms(s.Time))
	}
	fmt.Fprintf(t, "all\t\t\t\t%.2f\t\n", ms(all))
	_ = t.Flush()
}
