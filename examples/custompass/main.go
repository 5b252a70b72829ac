// Command hone is the whole of hone with one more pass, pool-as-mean: what a
// module of one's own needs for that is this main and the pass.
package main

import (
	"github.com/hone-ml/hone/cmd/hone/cli"

	_ "github.com/hone-ml/hone/examples/custompass/poolasmean"
)

func main() { cli.Main() }
