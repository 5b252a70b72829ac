package arch

import (
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/hone-ml/hone"

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath, Name, Doc  string
	GoFiles, Imports, Deps []string
	Standard, DepOnly      bool
}

// list asks the go command about packages; tests run in their package's folder, the module's root is two above.
// It opens every folder of the module first, so that go test knows what the answer depends on and reuses no older result.
func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	require.NoError(t, filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata") {
			return fs.SkipDir
		}
		return err
	}))
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Name,Doc,GoFiles,Imports,Deps,Standard,DepOnly"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if exit, ok := err.(*exec.ExitError); ok {
		t.Fatalf("%v: %s", cmd, exit.Stderr)
	}
	require.NoError(t, err)
	var pkgs []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// local turns an import path into the path within the module, with "." for its root.
func local(path string) (string, bool) {
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}

// matches tells whether a path is the pattern, or lies under it where the pattern ends in "/...".
func matches(pattern, path string) bool {
	if under, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == under || strings.HasPrefix(path, under+"/")
	}
	return path == pattern
}

func matchesAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, path) })
}

// walls lists, for the packages that others stand on, all that they may import of the module.
var walls = []struct {
	pkg string
	may []string
	why string
}{
	{"tensor", []string{"internal/float16"}, "values know nothing of models"},
	{"ref", []string{"tensor", "internal/..."}, "reference arithmetic judges everything else, so it depends on nothing that it judges"},
	{"ir", []string{"tensor", "internal/..."}, "the IR is below everything that reads or writes it"},
	{"ir/ops", []string{"ir", "ref", "tensor", "internal/..."}, "operators are declared over the IR and the reference arithmetic"},
	{"ir/interp", []string{"ir", "ir/ops", "tensor", "internal/..."}, "the interpreter runs any module without knowing who made it"},
	{"backends/cpu/rt", nil, "the run time is copied into generated packages"},
	{"backends/cpu/kernels", []string{"backends/cpu/rt"}, "kernels are copied into generated packages"},
	{"codegen/spec", []string{"backends/cpu/rt"}, "a kernel is described without the tool that writes it"},
	{"frontend/onnx/...", []string{"frontend/onnx/...", "ir/...", "tensor", "internal/..."}, "reading a model needs no pass and no backend"},
	{"passes/...", []string{"passes/...", "ir/...", "ref", "tensor", "internal/..."}, "passes know neither file formats nor machines"},
	{"internal/preprocess/...", []string{"internal/...", "tensor"}, "preprocessing serves run, verify and calibration alike"},
}

func TestArrowsPointOneWay(t *testing.T) {
	pkgs := list(t, "./...")
	for _, wall := range walls {
		t.Run(wall.pkg, func(t *testing.T) {
			found := false
			for _, p := range pkgs {
				path, _ := local(p.ImportPath)
				if !matches(wall.pkg, path) {
					continue
				}
				found = true
				for _, imported := range p.Imports {
					if of, ok := local(imported); ok && !matchesAny(wall.may, of) {
						t.Errorf("%s imports %s, but may import only %v: %s", path, of, wall.may, wall.why)
					}
				}
			}
			require.True(t, found, "no package %s: take the rule out or mend its name", wall.pkg)
		})
	}
}

// onlyFrom lists what few may import.
var onlyFrom = []struct {
	pkg  string
	from []string
	why  string
}{
	{module + "/cmd/...", []string{"cmd/..."}, "the command line is nobody's library"},
	{module + "/internal/testenv", []string{"internal/digitstest"}, "only tests look for test data"},
	{"github.com/mmcloughlin/avo/...", []string{"codegen/...", "cmd/..."}, "kernels are written at `go generate` time and by the CLI"},
	{module + "/codegen/amd64", []string{"codegen/...", "cmd/..."}, "it brings avo along"},
	{"github.com/owulveryck/onnx-go/...", []string{"frontend/onnxgo/..."}, "one adapter speaks to onnx-go"},
	{module + "/internal/digitstest", nil, "it is a part of tests"},
	{module + "/internal/ptxtest", nil, "it is a part of tests"},
	{module + "/frontend/onnxgo/...", []string{"frontend/onnxgo/..."}, "it brings onnx-go along"},
	{"github.com/ebitengine/purego/...", []string{"backends/tensorrt/..."}, "one backend loads foreign libraries"},
	{"github.com/tetratelabs/wazero/...", []string{"internal/graphviz"}, "one package draws with Graphviz"},
	{"github.com/goccy/go-graphviz/...", nil, "it compiles Graphviz whenever a program starts: internal/graphviz takes what it is built of"},
	{"github.com/stretchr/testify/...", []string{"internal/testenv", "internal/digitstest"}, "it belongs to tests"},
}

func TestFewImportWhatIsHeavy(t *testing.T) {
	for _, p := range list(t, "./...") {
		path, _ := local(p.ImportPath)
		for _, imported := range p.Imports {
			for _, rule := range onlyFrom {
				if matches(rule.pkg, imported) && !matchesAny(rule.from, path) {
					t.Errorf("%s imports %s, which only %v may: %s", path, imported, rule.from, rule.why)
				}
			}
		}
	}
}

// linked is every package from outside the standard library that a service which loads bundles may link.
var linked = []string{
	module + "/...",
	"github.com/klauspost/cpuid/v2/...",
	"github.com/klauspost/compress/...",
	"golang.org/x/sys/...",
	"golang.org/x/image/...",
	"golang.org/x/text/...",
	"google.golang.org/protobuf/...",
}

// A service links package hone, or what it stands on.
func TestServiceLinksLittle(t *testing.T) {
	services := []string{"./backends/cpu/...", "./internal/bundle"}
	for _, p := range list(t, "./...") {
		if p.ImportPath == module {
			services = append(services, ".")
		}
	}
	for _, p := range list(t, append([]string{"-deps"}, services...)...) {
		if !p.Standard && !matchesAny(linked, p.ImportPath) {
			t.Errorf("a program that loads bundles links %s; allowed are %v", p.ImportPath, linked)
		}
	}
}

// The run time stands alone with the CPU's description, so that a generated package can carry a copy.
func TestRunTimeStandsAlone(t *testing.T) {
	for _, p := range list(t, "-deps", "./backends/cpu/rt", "./backends/cpu/kernels") {
		if p.Standard || matches("golang.org/x/sys/...", p.ImportPath) || matches("github.com/klauspost/cpuid/v2/...", p.ImportPath) {
			continue
		}
		path, ok := local(p.ImportPath)
		require.True(t, ok && matchesAny([]string{"backends/cpu/rt", "backends/cpu/kernels"}, path), "the run time links %s", p.ImportPath)
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range list(t, "./...") {
		if len(p.GoFiles) == 0 {
			continue
		}
		start := "Package " + p.Name + " "
		if p.Name == "main" {
			start = "Command " + p.ImportPath[strings.LastIndex(p.ImportPath, "/")+1:] + " "
		}
		if !strings.HasPrefix(p.Doc, start) {
			t.Errorf("%s: the package comment starts with %q, not with %q", p.ImportPath, p.Doc, start)
		}
	}
}

func TestNoCgo(t *testing.T) {
	for _, p := range list(t, "./...") {
		require.NotContains(t, p.Imports, "C", p.ImportPath)
	}
}

// The README's architecture table names every room, and no room that is not there.
func TestReadmeNamesEveryRoom(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	var rooms []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(readme), -1) {
		rooms = append(rooms, row[1])
		require.DirExists(t, filepath.Join("../..", row[1]))
	}
	for _, p := range list(t, "./...") {
		path, _ := local(p.ImportPath)
		under := func(room string) bool { return matches(room+"/...", path) }
		require.True(t, slices.ContainsFunc(rooms, under), "the architecture table of README.md has no row for %s", path)
	}
}
