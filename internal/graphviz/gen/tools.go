//go:build tools

package main

import _ "github.com/goccy/go-graphviz/cdt" // so that go.mod says which version, and go.sum what is in it
