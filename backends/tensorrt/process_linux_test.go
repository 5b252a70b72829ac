package tensorrt

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hone-ml/hone/backends/tensorrt/internal/nvinfer"
)

// builders lists the builder processes that this process has started.
func builders(t *testing.T) (pids []int) {
	files, err := filepath.Glob("/proc/self/task/*/children")
	require.NoError(t, err)
	for _, f := range files {
		list, _ := os.ReadFile(f)
		for _, field := range strings.Fields(string(list)) {
			name, _ := os.ReadFile(fmt.Sprintf("/proc/%s/cmdline", field))
			if pid, err := strconv.Atoi(field); err == nil && bytes.HasPrefix(name, []byte(childName)) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func TestBuilderKilled(t *testing.T) {
	needLibrary(t)
	o := options()
	killed := 0
	o.Progress = func(Progress) {
		for _, pid := range builders(t) {
			killed++
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	dir := t.TempDir()
	model := filepath.Join(t.TempDir(), "m.onnx")
	require.NoError(t, os.WriteFile(model, oneNode("Relu"), 0o600))
	_, err := BuildFile(t.Context(), model, filepath.Join(dir, "m.plan"), o)
	require.Positive(t, killed)
	var died *DiedError
	require.ErrorAs(t, err, &died)
	require.Contains(t, died.Cause, "killed")
	require.NotEmpty(t, died.Last)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries, "a part of the plan was left")
}

// A library that says it is of a version without a slot table is not called any further.
func TestUnknownVersion(t *testing.T) {
	needLibrary(t)
	if runtime.GOARCH != "amd64" {
		t.Skipf("%s is skipped: it changes a number in amd64 machine code", t.Name())
	}
	found, err := Find(t.Context())
	require.NoError(t, err)
	dir := t.TempDir()
	for _, name := range []string{nvinfer.Families[0].Core, nvinfer.Families[0].Parser} {
		data, err := os.ReadFile(filepath.Join(found[0].Folder, name))
		require.NoError(t, err)
		if name == nvinfer.Families[0].Core {
			at := functionOffset(t, data, "getInferLibVersion")
			code := data[at : at+16]
			number := binary.LittleEndian.AppendUint32(nil, uint32(found[0].Version))
			require.Equal(t, 1, bytes.Count(code, number), "getInferLibVersion returns a constant")
			binary.LittleEndian.PutUint32(code[bytes.Index(code, number):], 19999)
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	o := options()
	o.Library = dir
	_, _, err = Build(t.Context(), oneNode("Relu"), o)
	require.ErrorIs(t, err, ErrVersion)
	require.ErrorContains(t, err, "the library has version 1.99.99; hone knows TensorRT for RTX 1.4.0, ")
}

// functionOffset is where the code of an exported function begins in an ELF file.
func functionOffset(t *testing.T, data []byte, name string) uint64 {
	f, err := elf.NewFile(bytes.NewReader(data))
	require.NoError(t, err)
	symbols, err := f.DynamicSymbols()
	require.NoError(t, err)
	for _, s := range symbols {
		if s.Name == name {
			section := f.Sections[s.Section]
			return s.Value - section.Addr + section.Offset
		}
	}
	t.Fatalf("no function %s", name)
	return 0
}

// A cancelled build leaves no process behind.
func TestCancelEndsBuilder(t *testing.T) {
	needLibrary(t)
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, errors.New("too late"))
	o := options()
	o.Progress = func(Progress) { cancel() }
	_, _, err := Build(ctx, oneNode("Relu"), o)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, builders(t))
}

func TestDiskFull(t *testing.T) {
	needLibrary(t)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8k"); err != nil {
		t.Skipf("%s is skipped: it needs the right to mount a file system of 8 KB: %v", t.Name(), err)
	}
	defer syscall.Unmount(dir, 0)
	model := filepath.Join(t.TempDir(), "m.onnx")
	require.NoError(t, os.WriteFile(model, oneNode("Relu"), 0o600))
	_, err := BuildFile(t.Context(), model, filepath.Join(dir, "m.plan"), options())
	require.ErrorContains(t, err, "cannot write the plan of")
	require.ErrorContains(t, err, "no space left on device")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries, "a part of the plan was left")
}

// Every version with a slot table that is installed beside the newest passes its self-check and builds.
func TestEveryVersion(t *testing.T) {
	needLibrary(t)
	cache, err := CacheDir()
	require.NoError(t, err)
	for _, version := range []string{"1.4.0.76", "1.5.0.114", "1.6.1.120", "1.7.1.116"} {
		t.Run(version, func(t *testing.T) {
			o := options()
			o.Library = filepath.Join(cache, version)
			if _, err := os.Stat(o.Library); err != nil {
				t.Skipf("%s is skipped: scripts/tensorrt_setup.sh %s installs it", t.Name(), version)
			}
			data, rep, err := Build(t.Context(), oneNode("Relu"), o)
			require.NoError(t, err)
			require.Equal(t, "TensorRT for RTX "+version[:5], rep.Library)
			p, err := ReadPlan(data)
			require.NoError(t, err)
			require.Equal(t, o.SM, p.Capabilities)
			require.Len(t, p.Bindings, 2)
			require.Len(t, p.Profiles, 1)
		})
	}
}
