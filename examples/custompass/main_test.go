package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hone-ml/hone/cmd/hone/cli"
)

// The scripts run this test binary as hone.
func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"hone": cli.Main}) }

// TestScripts runs testdata/script: sessions of a user at a shell.
func TestScripts(t *testing.T) { testscript.Run(t, testscript.Params{Dir: "testdata/script"}) }
