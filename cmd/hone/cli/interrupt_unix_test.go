//go:build unix

package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/testdata/digits"
)

// command runs this test binary as hone.
func command(dir string, args ...string) *exec.Cmd {
	return &exec.Cmd{Path: os.Args[0], Args: append([]string{"hone"}, args...), Dir: dir, Env: os.Environ()}
}

// Whenever the interrupt comes, what a command writes is there whole or not at all, and nothing else is.
func TestInterruptLeavesNoHalfWrittenFile(t *testing.T) {
	source := filepath.Join(t.TempDir(), "digits.onnx")
	require.NoError(t, os.WriteFile(source, digits.Model, 0o644))
	for _, c := range []struct {
		args  []string
		tries int
	}{
		{[]string{"compile", source, "-o", "out.hone"}, 16},
		{[]string{"opt", source, "-o", "out.onnx"}, 6},
		{[]string{"opt", source, "-o", "out.ir"}, 6}, // and out.ir.data, which comes first
		{[]string{"quantize", source, "-o", "out.onnx"}, 6},
		{[]string{"inspect", source, "--html", "out.html"}, 6},
		{[]string{"run", source, "--input", "image=random", "--output-dir", "."}, 6},
	} {
		t.Run(c.args[0]+" "+filepath.Ext(c.args[len(c.args)-1]), func(t *testing.T) {
			whole := t.TempDir()
			start := time.Now()
			out, err := command(whole, c.args...).CombinedOutput()
			require.NoError(t, err, "%s", out)
			takes := time.Since(start)
			for i := range c.tries {
				dir := t.TempDir()
				cmd := command(dir, c.args...)
				require.NoError(t, cmd.Start())
				time.Sleep(takes * time.Duration(i) / time.Duration(c.tries*3/4)) // up to a little longer than it takes
				_ = cmd.Process.Signal(os.Interrupt)                              // it may have ended
				_ = cmd.Wait()
				entries, err := os.ReadDir(dir)
				require.NoError(t, err)
				for _, e := range entries {
					want, err := os.ReadFile(filepath.Join(whole, e.Name()))
					require.NoError(t, err, "left behind")
					got, err := os.ReadFile(filepath.Join(dir, e.Name()))
					require.NoError(t, err)
					require.True(t, bytes.Equal(want, got), "half a file: %d of %d bytes", len(got), len(want))
				}
				if _, err := os.Stat(filepath.Join(dir, "out.ir")); err == nil {
					require.FileExists(t, filepath.Join(dir, "out.ir.data"))
				}
			}
		})
	}
}

// A command that waits for standard input ends when it is interrupted, and says so.
func TestInterruptWhileWaiting(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "digits.onnx"), digits.Model, 0o644))
	c := command(dir, "run", "digits.onnx", "--input", "image=-", "--output-dir", "out")
	in, err := c.StdinPipe()
	require.NoError(t, err)
	var said bytes.Buffer
	c.Stderr = &said
	require.NoError(t, c.Start())
	_, err = in.Write(digits.Images[:1000]) // some of a file: it has begun to read
	require.NoError(t, err)
	time.Sleep(300 * time.Millisecond)
	require.NoError(t, c.Process.Signal(os.Interrupt))
	var exit *exec.ExitError
	require.ErrorAs(t, c.Wait(), &exit)
	require.Equal(t, 1, exit.ExitCode())
	require.Equal(t, "hone: interrupted\n", said.String())
	require.NoDirExists(t, filepath.Join(dir, "out"))
}
