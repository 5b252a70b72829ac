//go:build linux && (amd64 || arm64)

package nvinfer

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"
)

// session is one use of the builder.
type session struct {
	Job
	*library
	arena
	model, data, plan *os.File
	emit              func(Event)
	crumb             func(string) // remembers where we are, should the process die
	mu                sync.Mutex   // the library logs from threads of its own
	errors            []string     // what it logged as errors
}

// run does the job: the plan's bytes, or what one computes, are written to
// s.plan. The process ends with it, so nothing is freed.
func (s *session) run() (err error) {
	defer s.keep()
	s.crumb("loading the library")
	if s.library, err = load(s.Library); err != nil {
		return err
	}
	t := s.table
	s.emit(Event{Kind: Library, Text: t.name, Number: s.version})
	most := SeverityInfo
	if s.Verbose {
		most = SeverityVerbose
	}
	logger := s.logger(t, most, s.log)
	if s.Run != nil {
		return s.execute(logger)
	}

	s.crumb("trying the slot table of " + t.name)
	builder, err := s.create("builder", s.createBuilder, logger, uintptr(s.version))
	if err != nil {
		return err
	}
	network := object(builder.call(t.builder.createNetworkV2, 1<<t.stronglyTyped))
	if network.null() {
		return s.failure("the builder made no network")
	}
	config := object(builder.call(t.builder.createBuilderConfig))
	if config.null() {
		return s.failure("the builder made no configuration")
	}
	if err := s.selfCheck(builder, network, config); err != nil || s.Check {
		return err
	}

	parser, err := s.create("ONNX parser", s.createParser, uintptr(network), logger, t.parserVersion)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := s.parse(uintptr(parser)); err != nil {
		return err
	}
	parsed := time.Now()
	s.crumb("configuring the builder")
	if err := s.configure(builder, network, config); err != nil {
		return err
	}
	s.crumb("building")
	memory := object(builder.call(t.builder.buildSerializedNetwork, uintptr(network), uintptr(config)))
	built := time.Now()
	if memory.null() {
		return s.failure("TensorRT built no plan")
	}
	if err := s.saveCache(config); err != nil {
		return err
	}
	data := s.contents(memory)
	s.crumb("writing the plan")
	if err := store(s.plan, data); err != nil {
		return fmt.Errorf("cannot write the plan of %d bytes: %w", len(data), err)
	}
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return err
	}
	s.emit(Event{Kind: Done, Bytes: int64(len(data)), Peak: usage.Maxrss << 10,
		ParseMS: parsed.Sub(begin).Milliseconds(), BuildMS: built.Sub(parsed).Milliseconds()})
	return nil
}

// store writes data to a file. The system begins with each part at once, so
// that a sync behind it has little left to wait for.
func store(f *os.File, data []byte) error {
	at := int64(0)
	for part := range slices.Chunk(data, 16<<20) {
		n, err := f.Write(part)
		if err != nil {
			return errors.Unwrap(err)
		}
		// A file that is not on a disk cannot: it needs no sync either.
		_ = unix.SyncFileRange(int(f.Fd()), at, int64(n), unix.SYNC_FILE_RANGE_WRITE)
		at += int64(n)
	}
	return nil
}

func (s *session) log(severity int, msg string) {
	s.crumb(msg)
	if severity <= SeverityError {
		s.mu.Lock()
		s.errors = append(s.errors, msg)
		s.mu.Unlock()
	}
	if severity <= SeverityWarning || s.Verbose {
		s.emit(Event{Kind: Log, Severity: severity, Text: msg})
	}
}

// failure is an error with what the library logged.
func (s *session) failure(what string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.errors) == 0 {
		return errors.New(what)
	}
	return fmt.Errorf("%s: %s", what, strings.Join(s.errors, "\n  "))
}

func (s *session) create(what string, entry uintptr, args ...uintptr) (object, error) {
	r, _, _ := purego.SyscallN(entry, args...)
	if object(r).null() {
		return 0, s.failure("the library made no " + what)
	}
	return object(r), nil
}

// parse makes the network of the model. The parser copies the model, which is
// small where its weights lie beside it, but refers to the weights where they
// are mapped.
func (s *session) parse(parser uintptr) error {
	s.crumb("parsing the model")
	model, err := mapped(s.model)
	if err != nil {
		return fmt.Errorf("cannot map the model: %w", err)
	}
	// The path lets the parser find weights in files beside the model's.
	path := uintptr(0)
	if s.Model != "" {
		path = s.arena.text(s.Model)
	}
	t := s.table
	ok := byte(virtual(parser, t.parser.loadModelProto, s.bytes(model), uintptr(len(model)), path)) != 0
	if err := syscall.Munmap(model); err != nil {
		return err
	}
	if ok && len(s.Weights) > 0 {
		data, err := mapped(s.data)
		if err != nil {
			return fmt.Errorf("cannot map the weights: %w", err)
		}
		for _, w := range s.Weights {
			at := s.bytes(data[w.Offset : w.Offset+w.Size])
			ok = ok && byte(virtual(parser, t.parser.loadInitializer, s.arena.text(w.Name), at, uintptr(w.Size))) != 0
		}
	}
	if ok && byte(virtual(parser, t.parser.parseModelProto)) != 0 {
		return nil
	}
	n := int(int32(virtual(parser, t.parser.getNbErrors)))
	named := 0
	for i := range n {
		e := virtual(parser, t.parser.getError, uintptr(i))
		pe := t.parserError
		refusal := Event{Kind: Refusal, Code: int(int32(virtual(e, pe.code))), Number: int(int32(virtual(e, pe.node))),
			Node: text(virtual(e, pe.nodeName)), Op: text(virtual(e, pe.nodeOperator)), Text: text(virtual(e, pe.desc))}
		if refusal.Op != "" {
			named++
			s.emit(refusal)
		}
	}
	if named > 0 {
		return errors.New("the parser refuses the model")
	}
	return s.failure("the parser cannot read the model")
}

// mapped is what a file holds. It is never in Go's heap.
func mapped(f *os.File) ([]byte, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() == 0 {
		return nil, errors.New("it is empty")
	}
	return syscall.Mmap(int(f.Fd()), 0, int(st.Size()), syscall.PROT_READ, syscall.MAP_PRIVATE)
}

// contents is a view of an IHostMemory.
func (s *session) contents(m object) []byte {
	n := m.call(s.table.memory.size)
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(foreign(m.call(s.table.memory.data))), n)
}
