// Command hone compiles, inspects, runs, verifies and measures models.
package main

import "github.com/hone-ml/hone/cmd/hone/cli"

func main() { cli.Main() }
