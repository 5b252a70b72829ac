package tensorrt

import (
	"errors"
	"fmt"
	"strings"
)

// Errors that callers tell apart, wrapped with what is known of the case.
var (
	// ErrNoLibrary: no TensorRT library was found; the message says how to get one.
	ErrNoLibrary = errors.New("no TensorRT library on this machine")
	// ErrVersion: the library has a version that hone has no slot table for.
	ErrVersion = errors.New("unknown TensorRT version")
)

// Refusal is one node that TensorRT's parser does not take.
type Refusal struct {
	Index  int // among the nodes of its graph
	Name   string
	Op     string
	Reason string
}

func (r Refusal) String() string {
	name := r.Name
	if name == "" {
		name = fmt.Sprintf("number %d, unnamed", r.Index)
	}
	return fmt.Sprintf("%s node %q: %s", r.Op, name, r.Reason)
}

// RefusedError is a model that TensorRT's parser does not take.
type RefusedError struct{ Nodes []Refusal }

func (e *RefusedError) Error() string {
	lines := []string{fmt.Sprintf("TensorRT refuses %d of the model's nodes", len(e.Nodes))}
	for _, n := range e.Nodes {
		lines = append(lines, "  "+n.String())
	}
	return strings.Join(lines, "\n")
}

// DiedError is a builder process that ended without an answer: a fault in the library, or a kill from outside.
type DiedError struct {
	Cause string // the signal, or what the process wrote last
	Last  string // what it was doing
}

func (e *DiedError) Error() string {
	return fmt.Sprintf("the TensorRT builder process died (%s); the last it told was %q", e.Cause, e.Last)
}

// reasons explains the parser's error codes, which come with the message "false" where an operator is not known.
var reasons = map[int]string{
	1: "internal error of the parser",
	2: "out of memory",
	3: "the model cannot be decoded",
	4: "invalid value",
	5: "invalid graph",
	6: "invalid node",
	7: "unsupported graph",
	8: "TensorRT has no such operator",
	9: "unsupported attribute",
}

// reason makes a message of what the parser said and its code.
func reason(code int, text string) string {
	text = strings.TrimSpace(text)
	known, ok := reasons[code]
	switch {
	case text == "" || text == "false":
		if !ok {
			return fmt.Sprintf("error code %d", code)
		}
		return known
	case ok && code >= 8:
		return known + " (" + text + ")"
	}
	return text
}
