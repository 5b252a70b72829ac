// Command gen writes graphviz.wasm.gz: the WebAssembly of github.com/goccy/go-graphviz, at the version that go.mod
// asks for, with its stack pointer within reach.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: gen FILE")
	}
	if err := write(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func write(path string) error {
	code, err := module()
	if err != nil {
		return err
	}
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(code); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}

// module returns the WebAssembly that goes into the package.
func module() ([]byte, error) {
	out, err := exec.Command("go", "mod", "download", "-json", "github.com/goccy/go-graphviz").Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download: %w\n%s", err, out)
	}
	var downloaded struct{ Dir string }
	if err := json.Unmarshal(out, &downloaded); err != nil {
		return nil, err
	}
	code, err := os.ReadFile(filepath.Join(downloaded.Dir, "internal", "wasm", "graphviz.wasm"))
	if err != nil {
		return nil, err
	}
	return exportStack(code)
}

// exportStack adds global 0, in which compilers keep the stack pointer, to the exports of a module. After a header of 8
// bytes a module is sections: a byte for what it is, a length, and the content; numbers are varints (WebAssembly
// specification, chapter 5, "Binary Format").
func exportStack(code []byte) ([]byte, error) {
	const header, exports, global = 8, 7, 3
	if len(code) < header {
		return nil, errors.New("not WebAssembly")
	}
	out, found := bytes.Clone(code[:header]), false
	for rest := code[header:]; len(rest) > 0; {
		kind := rest[0]
		length, n := binary.Uvarint(rest[1:])
		if n <= 0 || uint64(len(rest)-1-n) < length {
			return nil, errors.New("a section is cut short")
		}
		content := rest[1+n:][:length]
		rest = rest[1+n+int(length):]
		if kind == exports {
			count, n := binary.Uvarint(content)
			more := binary.AppendUvarint(nil, count+1)
			more = append(more, content[n:]...)
			const name = "__stack_pointer"
			more = append(append(more, byte(len(name))), name...)
			content, found = append(more, global, 0), true
		}
		out = append(binary.AppendUvarint(append(out, kind), uint64(len(content))), content...)
	}
	if !found {
		return nil, errors.New("the module exports nothing")
	}
	return out, nil
}
