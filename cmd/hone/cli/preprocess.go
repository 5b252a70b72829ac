package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hone-ml/hone"
	"github.com/hone-ml/hone/internal/preprocess"
)

const preprocessHelp = "how pictures, sounds and texts become inputs: a preset (imagenet, tensorflow, raw ...), a spec (FILE.json) or a tokenizer.json"

// chooseSpec returns what makes an input of a source: --preprocess, else
// what is stored with the model, else a guess, which the user is told.
func chooseSpec(a *app, flag string, ports []hone.Port, stored []byte, source preprocess.Source) (preprocess.Spec, error) {
	if flag != "" {
		return namedSpec(flag, ports)
	}
	if stored != nil {
		return preprocess.Parse(stored)
	}
	input := source.Input
	typ := ports[port(ports, input)].Type
	if source.Text != "" {
		return preprocess.Spec{}, usagef("input %q is %s: text needs a tokenizer, --preprocess tokenizer.json", input, typ)
	}
	dims := make([]int, len(typ.Dims))
	for i, d := range typ.Dims {
		if n, ok := d.Int(); ok {
			dims[i] = int(n)
		}
	}
	spec, ok := preprocess.Guess(input, typ.DType, dims)
	if !ok {
		return spec, usagef("input %q is %s: give a .npy file, or say with --preprocess how it is made of other files", input, typ)
	}
	guess, err := json.Marshal(spec)
	if err != nil {
		return spec, err
	}
	fmt.Fprintf(a.err, "hone: no preprocessing is known for %s, guessing %s; --preprocess sets another\n", input, guess)
	return spec, nil
}

// namedSpec returns the spec that --preprocess names.
func namedSpec(flag string, ports []hone.Port) (preprocess.Spec, error) {
	spec, err := readSpec(flag, ports)
	if err != nil {
		return spec, err
	}
	if err := spec.Validate(); err != nil {
		return spec, usagef("--preprocess %s: %v", flag, err)
	}
	for _, name := range spec.Inputs() {
		if port(ports, name) < 0 {
			return spec, usagef("--preprocess %s makes the input %q; the model takes %s", flag, name, portList(ports))
		}
	}
	return spec, nil
}

func readSpec(flag string, ports []hone.Port) (preprocess.Spec, error) {
	if !strings.HasSuffix(flag, ".json") {
		spec, err := preprocess.Preset(flag, pictureInput(ports))
		if err != nil {
			return spec, usagef("--preprocess: %v", err)
		}
		return spec, nil
	}
	text, err := os.ReadFile(flag)
	if err != nil {
		return preprocess.Spec{}, missingFile(flag, err)
	}
	var spec preprocess.Spec
	if filepath.Base(flag) == "tokenizer.json" {
		spec, err = preprocess.TextSpec(text, portNames(ports), 0)
	} else {
		spec, err = preprocess.Parse(text)
	}
	if err != nil {
		return spec, usagef("--preprocess %s: %v", flag, err)
	}
	return spec, nil
}

// pictureInput returns the name of the input that holds a picture: the first
// with four dims. "" leaves the preset's own.
func pictureInput(ports []hone.Port) string {
	i := slices.IndexFunc(ports, func(p hone.Port) bool { return p.Type.Rank() == 4 })
	if i < 0 {
		return ""
	}
	return ports[i].Name
}
