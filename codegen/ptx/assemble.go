package ptx

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// ErrNoPtxas: NVIDIA's assembler was not found.
var ErrNoPtxas = errors.New("ptxas was not found: `make setup` installs it (PyPI: nvidia-cuda-nvcc-cu12), or name it in HONE_PTXAS")

// FindPtxas finds NVIDIA's assembler: HONE_PTXAS, hone's cache, the search path, CUDA's usual folder.
func FindPtxas() (string, error) {
	if p := os.Getenv("HONE_PTXAS"); p != "" {
		return p, nil
	}
	cache := os.Getenv("HONE_CACHE")
	if home, err := os.UserHomeDir(); cache == "" && err == nil {
		cache = filepath.Join(home, ".cache", "hone")
	}
	for _, p := range []string{filepath.Join(cache, "tensorrt", "ptxas", "ptxas"), "ptxas", "/usr/local/cuda/bin/ptxas"} {
		if found, err := exec.LookPath(p); err == nil {
			return found, nil
		}
	}
	return "", ErrNoPtxas
}

// Use is what an entry takes of the GPU.
type Use struct {
	Entry     string
	Registers int // a thread
	Shared    int // bytes a block
	Spill     int // bytes a thread written to memory for want of registers
}

// Assemble makes machine code for a compute capability of PTX text. Errors are
// ptxas's, with the line of the text.
func Assemble(ctx context.Context, text string, sm int) (cubin []byte, use []Use, err error) {
	ptxas, err := FindPtxas()
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "hone-ptx")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	in, out := filepath.Join(dir, "kernel.ptx"), filepath.Join(dir, "kernel.cubin")
	if err := os.WriteFile(in, []byte(text), 0o600); err != nil {
		return nil, nil, err
	}
	report, err := exec.CommandContext(ctx, ptxas, "-v", fmt.Sprintf("--gpu-name=sm_%d", sm), "-o", out, in).CombinedOutput()
	if err != nil {
		message := strings.ReplaceAll(strings.TrimSpace(string(report)), in, "kernel.ptx")
		return nil, nil, fmt.Errorf("ptxas refuses the kernel for sm_%d: %w: %s", sm, err, message)
	}
	cubin, err = os.ReadFile(out)
	return cubin, parseUse(string(report)), err
}

var (
	useEntry     = regexp.MustCompile(`Compiling entry function '(\w+)'`)
	useSpill     = regexp.MustCompile(`(\d+) bytes spill stores`)
	useRegisters = regexp.MustCompile(`Used (\d+) registers`)
	useShared    = regexp.MustCompile(`(\d+) bytes smem`)
)

// parseUse reads what ptxas -v says.
func parseUse(report string) (out []Use) {
	number := func(r *regexp.Regexp, line string, to *int) {
		if m := r.FindStringSubmatch(line); m != nil {
			*to, _ = strconv.Atoi(m[1])
		}
	}
	for line := range strings.Lines(report) {
		if m := useEntry.FindStringSubmatch(line); m != nil {
			out = append(out, Use{Entry: m[1]})
		}
		if len(out) > 0 {
			u := &out[len(out)-1]
			number(useSpill, line, &u.Spill)
			number(useRegisters, line, &u.Registers)
			number(useShared, line, &u.Shared)
		}
	}
	return out
}
