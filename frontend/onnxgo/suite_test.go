package onnxgo

import (
	"flag"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/owulveryck/onnx-go/backend/testbackend"
	_ "github.com/owulveryck/onnx-go/backend/testbackend/onnx" // its test data
	"github.com/stretchr/testify/require"
)

// suiteEnv makes the test binary run onnx-go's tests and nothing else; its
// value names the backend.
const suiteEnv = "ONNXGO_SUITE"

// backends are what the suite runs on.
var backends = map[string]func() *Graph{
	"interp": func() *Graph { return New() },
	"cpu":    func() *Graph { return New(Compiled()) },
}

func TestMain(m *testing.M) {
	if name := os.Getenv(suiteEnv); name != "" {
		runSuite(backends[name])
	}
	os.Exit(m.Run())
}

// runSuite runs every test with onnx-go's own runner, and prints what the
// testing package makes of each. It does not return.
func runSuite(backend func() *Graph) {
	flag.Parse()
	if err := flag.Set("test.v", "true"); err != nil {
		panic(err)
	}
	var tests []testing.InternalTest
	for _, construct := range testbackend.GetAllRegisteredTests() {
		tc := construct()
		tests = append(tests, testing.InternalTest{Name: tc.Title, F: tc.RunTest(backend(), false)})
	}
	testing.Main(func(_, _ string) (bool, error) { return true, nil }, tests, nil, nil)
}

var verdict = regexp.MustCompile(`^--- (PASS|FAIL|SKIP): (\S+)`)

// suite returns the tests that pass and the others, with what they printed.
func suite(t *testing.T, backend string) (passed map[string]bool, others map[string]string) {
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), suiteEnv+"="+backend)
	out, _ := cmd.CombinedOutput() // it fails where any test does
	passed, others = map[string]bool{}, map[string]string{}
	var said strings.Builder
	for line := range strings.Lines(string(out)) {
		if m := verdict.FindStringSubmatch(line); m == nil {
			said.WriteString(line)
		} else if m[1] == "PASS" {
			passed[m[2]] = true
			said.Reset()
		} else {
			others[m[2]] = said.String()
			said.Reset()
		}
	}
	return passed, others
}

// listed reads the tests that are known not to pass on a backend, with the
// reason of each.
func listed(t *testing.T, backend string) map[string]string {
	f, err := os.ReadFile("testdata/failures.txt")
	require.NoError(t, err)
	list := map[string]string{}
	for line := range strings.Lines(string(f)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		words := strings.SplitN(line, " ", 3)
		require.Len(t, words, 3, "%q lacks its reason", line)
		require.Contains(t, []string{"interp", "cpu", "both"}, words[1], line)
		if words[1] == backend || words[1] == "both" {
			list[words[0]] = words[2]
		}
	}
	return list
}

// onnx-go's own backend tests pass, but for those that are listed with a
// reason. One that passes must not stay on the list.
func TestBackendSuite(t *testing.T) {
	for name := range backends {
		t.Run(name, func(t *testing.T) {
			known := listed(t, name)
			passed, others := suite(t, name)
			require.Equal(t, len(testbackend.GetAllRegisteredTests()), len(passed)+len(others), "a test ended the run")
			t.Logf("%d of %d pass", len(passed), len(passed)+len(others))
			require.GreaterOrEqual(t, len(passed), 300)
			for test, said := range others {
				if known[test] == "" {
					t.Errorf("%s does not pass:\n%s", test, said)
				}
			}
			for test := range known {
				if passed[test] {
					t.Errorf("%s passes: take it off the list", test)
				} else if _, ran := others[test]; !ran {
					t.Errorf("%s is listed, but there is no such test", test)
				}
			}
		})
	}
}
