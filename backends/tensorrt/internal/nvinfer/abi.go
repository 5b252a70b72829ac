//go:build linux && (amd64 || arm64)

package nvinfer

import (
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// object is a pointer to one of the library's wrappers, {vtable,
// implementation}; its methods are those of the implementation. Interfaces
// such as the parser are called through their own table, with virtual.
type object uintptr

// null reports whether o is no object: the library has been seen to return
// small numbers where it means none.
func (o object) null() bool { return o < 4096 }

// call calls a virtual method of the implementation behind o.
func (o object) call(slot int, args ...uintptr) uintptr {
	return virtual(word(uintptr(o)+8), slot, args...)
}

// is calls a method that returns a C++ bool: only the low byte counts.
func (o object) is(slot int, args ...uintptr) bool { return byte(o.call(slot, args...)) != 0 }

// number calls a method that returns an int32_t.
func (o object) number(slot int, args ...uintptr) int { return int(int32(o.call(slot, args...))) }

// virtual calls a virtual method of the object at this.
func virtual(this uintptr, slot int, args ...uintptr) uintptr {
	if slot < 0 {
		panic("nvinfer: a method that this version of the library does not have")
	}
	method := word(word(this) + uintptr(slot)*8)
	r, _, _ := purego.SyscallN(method, append([]uintptr{this}, args...)...)
	return r
}

// foreign turns an address that C gave into a pointer, without the conversion
// that vet rightly suspects. Inlined, it makes Go 1.26's compiler crash on a
// copy of constant length between two such pointers.
//
//go:noinline
func foreign(p uintptr) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(nil), p) }

func word(p uintptr) uintptr { return *(*uintptr)(foreign(p)) }

// text copies a C string.
func text(p uintptr) string {
	if object(p).null() {
		return ""
	}
	n := 0
	for *(*byte)(unsafe.Add(foreign(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(foreign(p)), n))
}

// dims is nvinfer1::Dims. It goes to methods by reference.
type dims struct {
	n int32
	_ int32
	d [8]int64
}

// arena keeps what C was given the address of until it is let go. Go's heap
// objects do not move.
type arena struct{ kept []any }

func (a *arena) text(s string) uintptr {
	b := append([]byte(s), 0)
	a.kept = append(a.kept, b)
	return uintptr(unsafe.Pointer(&b[0]))
}

func (a *arena) dims(shape []int64) uintptr {
	d := &dims{n: int32(len(shape))}
	copy(d.d[:], shape)
	a.kept = append(a.kept, d)
	return uintptr(unsafe.Pointer(d))
}

func (a *arena) int64s(v []int64) uintptr {
	if len(v) == 0 {
		return 0
	}
	v = append([]int64(nil), v...)
	a.kept = append(a.kept, v)
	return uintptr(unsafe.Pointer(&v[0]))
}

func (a *arena) bytes(b []byte) uintptr {
	if len(b) == 0 {
		return 0
	}
	a.kept = append(a.kept, b)
	return uintptr(unsafe.Pointer(&b[0]))
}

func (a *arena) keep() { runtime.KeepAlive(a.kept) }

// interfaceInfo is nvinfer1::InterfaceInfo, returned in two registers.
type interfaceInfo struct {
	kind  *byte
	major int32
	_     int32 // minor
}

// implement makes an object of an interface that the library calls: methods
// stand at the given slots, the rest does nothing. A versioned interface
// begins with its language (0 is C++), its name and version.
func (a *arena) implement(size int, versioned string, methods map[int]uintptr) uintptr {
	type implementation struct{ vtable *[16]uintptr }
	table := new([16]uintptr)
	nothing := purego.NewCallback(func(this uintptr) uintptr { return 0 })
	for i := range size {
		table[i] = nothing
	}
	if versioned != "" {
		info := interfaceInfo{kind: (*byte)(foreign(a.text(versioned))), major: 1}
		table[1] = purego.NewCallback(func(this uintptr) interfaceInfo { return info })
	}
	for slot, f := range methods {
		table[slot] = f
	}
	obj := &implementation{table}
	a.kept = append(a.kept, obj)
	return uintptr(unsafe.Pointer(obj))
}

// logger makes an ILogger that passes on messages up to a severity. The
// library has very many of the least, so that copying them would take memory.
func (a *arena) logger(t *slots, most int, f func(severity int, msg string)) uintptr {
	kind := ""
	if t.versionedLogger {
		kind = "ILogger"
	}
	log := purego.NewCallback(func(this uintptr, severity int32, msg uintptr) {
		if int(severity) <= most {
			f(int(severity), text(msg))
		}
	})
	return a.implement(t.loggerLen, kind, map[int]uintptr{t.logger.log: log})
}

// monitor makes an IProgressMonitor; step says whether to go on.
func (a *arena) monitor(t *slots, start func(phase, parent string, steps int), step func(phase string, i int) bool,
	finish func(phase string)) uintptr {
	return a.implement(t.progressLen, "IProgressMonitor", map[int]uintptr{
		t.progress.phaseStart: purego.NewCallback(func(this, phase, parent uintptr, steps int32) {
			start(text(phase), text(parent), int(steps))
		}),
		t.progress.stepComplete: purego.NewCallback(func(this, phase uintptr, i int32) bool { return step(text(phase), int(i)) }),
		t.progress.phaseFinish:  purego.NewCallback(func(this, phase uintptr) { finish(text(phase)) }),
	})
}
