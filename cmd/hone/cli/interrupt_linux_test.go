package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/backends/tensorrt"
	"github.com/hone-ml/hone/testdata/digits"
)

// An interrupt ends TensorRT's builder too, and leaves neither plan nor process.
func TestInterruptEndsBuilder(t *testing.T) {
	if _, err := tensorrt.Find(t.Context()); err != nil {
		t.Skipf("%s is skipped: it builds a real plan: %v", t.Name(), err)
	}
	dir := t.TempDir()
	source := filepath.Join(t.TempDir(), "digits.onnx")
	require.NoError(t, os.WriteFile(source, digits.Model, 0o644))
	c := command(dir, "compile", source, "--backend", "tensorrt", "--sm", "86", "--input-shape", "image=1x1x8x8", "-o", "out.plan")
	var said bytes.Buffer
	c.Stderr = &said
	require.NoError(t, c.Start())
	var builder string
	require.Eventually(t, func() bool {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", c.Process.Pid))
		for _, f := range tasks {
			pids, _ := os.ReadFile(f)
			for _, pid := range strings.Fields(string(pids)) {
				name, _ := os.ReadFile("/proc/" + pid + "/cmdline")
				if strings.HasPrefix(string(name), "hone-tensorrt-builder") {
					builder = pid
				}
			}
		}
		return builder != ""
	}, 10*time.Second, time.Millisecond, "no builder was started")
	require.NoError(t, c.Process.Signal(os.Interrupt))
	var exit *exec.ExitError
	require.ErrorAs(t, c.Wait(), &exit)
	require.Equal(t, 1, exit.ExitCode())
	require.Equal(t, "hone: interrupted\n", said.String())
	require.NoFileExists(t, "/proc/"+builder+"/cmdline")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}
