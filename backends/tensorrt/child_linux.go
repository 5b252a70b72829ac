//go:build linux && (amd64 || arm64)

package tensorrt

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hone-ml/hone/backends/tensorrt/internal/nvinfer"
)

// mainCalled guards against starting a program that does not know it is a child.
var mainCalled bool

// init keeps a child's main goroutine, and so every call of the library, on the process's first thread.
func init() {
	if os.Args[0] == childName {
		runtime.LockOSThread()
	}
}

// ChildMain must be called first in main by every program that builds plans.
// In a builder process it does the work and exits; elsewhere it returns at once.
func ChildMain() {
	mainCalled = true
	if os.Args[0] == childName {
		os.Exit(nvinfer.Serve())
	}
}

// runChild does a job in a child process and calls on for its events. Ending
// the context kills the child. One that has done its job is not waited for: to
// give back its memory takes it a while.
func runChild(ctx context.Context, j nvinfer.Job, f files, on func(nvinfer.Event)) error {
	if !mainCalled {
		return fmt.Errorf("%w: main has to call tensorrt.ChildMain() first", errNoChild)
	}
	cmd, crumb, events, err := prepare(ctx, j, f)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoChild, err)
	}
	defer crumb.Close()
	defer events.Close()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err = startFixed(cmd)
	cmd.ExtraFiles[0].Close()
	if err != nil {
		return fmt.Errorf("%w: %w", errNoChild, err)
	}
	var failed error
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		var e nvinfer.Event
		if json.Unmarshal(line, &e) != nil {
			continue
		}
		on(e)
		switch e.Kind {
		case nvinfer.Failed:
			failed = failure(e.Text)
		case nvinfer.Done:
			go cmd.Wait()
			return nil
		}
	}
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case failed != nil:
		return failed
	}
	last := make([]byte, nvinfer.CrumbSize)
	n, _ := crumb.ReadAt(last, 0)
	doing, _, _ := strings.Cut(string(last[:n]), "\x00")
	return &DiedError{Cause: cause(err, stderr.String()), Last: doing}
}

func prepare(ctx context.Context, j nvinfer.Job, f files) (cmd *exec.Cmd, crumb, events *os.File, err error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, nil, nil, err
	}
	input, err := json.Marshal(j)
	if err != nil {
		return nil, nil, nil, err
	}
	crumb, err = memoryFile("crumb", make([]byte, nvinfer.CrumbSize))
	if err != nil {
		return nil, nil, nil, err
	}
	events, eventsW, err := os.Pipe()
	if err != nil {
		crumb.Close()
		return nil, nil, nil, err
	}
	cmd = exec.CommandContext(ctx, exe)
	cmd.Args = []string{childName}
	cmd.Stdin = bytes.NewReader(input)
	cmd.WaitDelay = 5 * time.Second
	// Large pages for C's memory save the builder a tenth of its time.
	tunables := strings.TrimPrefix(os.Getenv("GLIBC_TUNABLES")+":glibc.malloc.hugetlb=1", ":")
	// One processor and hardly any collection: what Go asks of the system then comes at the same moments each time.
	cmd.Env = append(os.Environ(), "GOGC=off", "GOMAXPROCS=1", "GOMEMLIMIT=64MiB", "GODEBUG=", "GLIBC_TUNABLES="+tunables)
	cmd.ExtraFiles = []*os.File{eventsW, crumb, f.model, f.data, f.plan}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd, crumb, events, nil
}

// addrNoRandomize is what personality(2) calls ADDR_NO_RANDOMIZE. The library
// orders some things by address, and numbers in the names it generates follow:
// with a fixed layout two builds of one model are the same far more often.
const addrNoRandomize = 0x0040000

// startFixed starts cmd with its addresses not randomized; the setting is
// inherited by what this thread starts. Where it is forbidden, cmd runs without.
func startFixed(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	old, _, e := syscall.RawSyscall(syscall.SYS_PERSONALITY, 0xffffffff, 0, 0)
	if e == 0 {
		syscall.RawSyscall(syscall.SYS_PERSONALITY, old|addrNoRandomize, 0, 0)
		defer syscall.RawSyscall(syscall.SYS_PERSONALITY, old, 0, 0)
	}
	return cmd.Start()
}

// memoryFile is an unnamed file in memory that holds data.
func memoryFile(name string, data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("hone-"+name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("no memory file: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.Write(data); err != nil {
		f.Close()
		return nil, fmt.Errorf("memory file of %d bytes: %w", len(data), err)
	}
	return f, nil
}
