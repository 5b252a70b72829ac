//go:build linux && (amd64 || arm64)

package nvinfer

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"runtime"
	"sync"
	"syscall"
)

// File descriptors of the child, in the order of exec.Cmd.ExtraFiles.
const (
	EventsFD = 3 + iota // events go out, one JSON object a line
	CrumbFD             // a page where the last message stands, which outlives the process
	ModelFD             // the model
	DataFD              // the data beside the model, where the job has weights
	PlanFD              // the plan goes here
)

// CrumbSize is the size of the page behind CrumbFD.
const CrumbSize = 4096

// Serve is the child's main program: it does the job that standard input
// holds and returns the exit status. The caller has locked the first thread.
func Serve() int {
	spareThreads(16)
	out := bufio.NewWriter(os.NewFile(EventsFD, "events"))
	enc := json.NewEncoder(out)
	var mu sync.Mutex // the library logs from threads of its own
	emit := func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		enc.Encode(e)
		out.Flush()
	}
	fail := func(err error) int {
		emit(Event{Kind: Failed, Text: err.Error()})
		return 1
	}
	page, err := syscall.Mmap(CrumbFD, 0, CrumbSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return fail(err)
	}
	s := &session{emit: emit, model: os.NewFile(ModelFD, "model"), data: os.NewFile(DataFD, "data"), plan: os.NewFile(PlanFD, "plan")}
	s.crumb = func(text string) {
		mu.Lock()
		defer mu.Unlock()
		page[copy(page[:CrumbSize-1], text)] = 0
	}
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return fail(err)
	}
	if err := json.Unmarshal(input, &s.Job); err != nil {
		return fail(err)
	}
	if err := s.run(); err != nil {
		return fail(err)
	}
	if s.Check {
		emit(Event{Kind: Done})
	}
	return 0
}

// spareThreads makes threads ahead of need: making one later takes memory from
// C at a moment that varies, and addresses decide the numbers in the plan's
// generated names.
func spareThreads(n int) {
	var made, free sync.WaitGroup
	free.Add(1)
	for range n {
		made.Add(1)
		go func() {
			runtime.LockOSThread()
			made.Done()
			free.Wait()
			runtime.UnlockOSThread()
		}()
	}
	made.Wait()
	free.Done()
}
