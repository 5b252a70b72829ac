//go:build linux && (amd64 || arm64)

package nvinfer

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/ebitengine/purego"
)

// configure sets everything that is not the network.
func (s *session) configure(builder, network, config object) error {
	c := s.table.config
	if s.Threads > 0 {
		builder.call(s.table.builder.setMaxThreads, uintptr(s.Threads))
	}
	if err := s.setTargets(config); err != nil {
		return err
	}
	for _, name := range s.Flags {
		v, ok := s.table.builderFlags[name]
		if !ok {
			return fmt.Errorf("no builder flag %s in %s, which has %s", name, s.table.name,
				strings.Join(slices.Sorted(maps.Keys(s.table.builderFlags)), ", "))
		}
		config.call(c.setFlag, uintptr(v))
	}
	if s.Workspace > 0 {
		config.call(c.setMemoryPoolLimit, 0, uintptr(s.Workspace))
	}
	if err := s.addProfiles(builder, network, config); err != nil {
		return err
	}
	if err := s.setCache(config); err != nil {
		return err
	}
	s.watch(config)
	return nil
}

// setTargets says which GPUs to build for. They are always named: with none
// named the library takes a set of its own.
func (s *session) setTargets(config object) error {
	c, t := s.table.config, s.table
	if len(t.capabilities) == 0 {
		if len(s.SM) > 0 {
			return fmt.Errorf("%s builds for the GPU of this machine only, not for named compute capabilities", t.name)
		}
		return nil
	}
	if len(s.SM) == 0 {
		return fmt.Errorf("no compute capability named (--sm 86,89); %s builds for %v", t.name, t.capabilities)
	}
	for _, sm := range s.SM {
		if !slices.Contains(t.capabilities, sm) {
			return fmt.Errorf("%s builds for compute capabilities %v, not %d", t.name, t.capabilities, sm)
		}
	}
	config.call(c.setNbComputeCapabilities, uintptr(len(s.SM)))
	for i, sm := range s.SM {
		if !config.is(c.setComputeCapability, uintptr(sm), uintptr(i)) {
			return s.failure(fmt.Sprintf("compute capability %d refused", sm))
		}
	}
	return nil
}

// addProfiles gives every input with an open dimension its ranges.
func (s *session) addProfiles(builder, network, config object) error {
	t := s.table
	shapes := map[string][]int64{}
	values := map[string]bool{} // inputs whose values decide shapes
	var inputs, open []string
	for i := range network.number(t.network.getNbInputs) {
		tensor := object(network.call(t.network.getInput, uintptr(i)))
		name := text(tensor.call(t.tensor.getName))
		inputs = append(inputs, name)
		shapes[name] = shapeOf(tensor, t.tensor.getDimensions, 0)
		values[name] = tensor.is(t.tensor.isShapeTensor)
		if slices.Contains(shapes[name], -1) || values[name] {
			open = append(open, name)
		}
	}
	if len(s.Profiles) == 0 && len(open) > 0 {
		return needsProfile(open, shapes, values)
	}
	for _, p := range s.Profiles {
		missing := slices.Clone(open)
		for _, r := range p {
			if !slices.Contains(inputs, r.Input) {
				return fmt.Errorf("profile for %q: the model's inputs are %s", r.Input, strings.Join(inputs, ", "))
			}
			if err := fits(r, shapes[r.Input], values[r.Input]); err != nil {
				return err
			}
			missing = slices.DeleteFunc(missing, func(n string) bool { return n == r.Input })
		}
		if len(missing) > 0 {
			return needsProfile(missing, shapes, values)
		}
		if err := s.addProfile(p, values, builder, config); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) addProfile(p Profile, values map[string]bool, builder, config object) error {
	t := s.table
	profile := object(builder.call(t.builder.createOptimizationProfile))
	if profile.null() {
		return s.failure("the builder made no profile")
	}
	for _, r := range p {
		for selector, shape := range [][]int64{r.Min, r.Opt, r.Max} {
			var ok bool
			if values[r.Input] {
				ok = profile.is(t.profile.setShapeValuesV2, s.arena.text(r.Input), uintptr(selector), s.int64s(shape), uintptr(len(shape)))
			} else {
				ok = profile.is(t.profile.setDimensions, s.arena.text(r.Input), uintptr(selector), s.dims(shape))
			}
			if !ok {
				return s.failure(fmt.Sprintf("profile of %s refused", r.Input))
			}
		}
	}
	if !profile.is(t.profile.isValid) {
		return s.failure("the profile is not valid")
	}
	if config.number(t.config.addOptimizationProfile, uintptr(profile)) < 0 {
		return s.failure("the profile was not taken")
	}
	return nil
}

// fits checks a range against the input's shape, in which -1 is open.
func fits(r Range, shape []int64, values bool) error {
	if values {
		return nil
	}
	for _, v := range [][]int64{r.Min, r.Opt, r.Max} {
		if len(v) != len(shape) {
			return fmt.Errorf("profile of %q: %v has %d dimensions, the input %s has %d", r.Input, v, len(v), shapeText(shape), len(shape))
		}
		for i, d := range v {
			if shape[i] >= 0 && shape[i] != d {
				return fmt.Errorf("profile of %q: dimension %d is %d, the input has %s", r.Input, i, d, shapeText(shape))
			}
		}
	}
	return nil
}

// needsProfile names the inputs that want a range: of their shape, or of their
// values where those decide the shapes of others.
func needsProfile(names []string, shapes map[string][]int64, values map[string]bool) error {
	var open, deciding []string
	for _, n := range names {
		if values[n] {
			deciding = append(deciding, n+" "+shapeText(shapes[n]))
		} else {
			open = append(open, n+" "+shapeText(shapes[n]))
		}
	}
	var parts []string
	if open != nil {
		parts = append(parts, "inputs with open dimensions need a profile (--profile NAME=MIN..OPT..MAX) or a fixed shape (--input-shape): "+strings.Join(open, ", "))
	}
	if deciding != nil {
		parts = append(parts, "inputs whose values decide shapes need a profile of their values (--profile NAME=MIN..OPT..MAX): "+strings.Join(deciding, ", "))
	}
	return errors.New(strings.Join(parts, "; "))
}

func shapeText(shape []int64) string {
	var out []string
	for _, d := range shape {
		if d < 0 {
			out = append(out, "?")
		} else {
			out = append(out, fmt.Sprint(d))
		}
	}
	return "[" + strings.Join(out, ",") + "]"
}

// shapeOf calls a method of o that returns Dims, of the tensor of a name where
// the method takes one: a C function does not see what else it is given. Dims
// comes back through a hidden pointer, which RegisterFunc knows of.
func shapeOf(o object, slot int, name uintptr) []int64 {
	impl := word(uintptr(o) + 8)
	var get func(this, name uintptr) dims
	purego.RegisterFunc(&get, word(word(impl)+uintptr(slot)*8))
	d := get(impl, name)
	return slices.Clone(d.d[:max(0, min(d.n, 8))])
}

// setCache lets the builder start from the timings of earlier builds.
// TensorRT for RTX times nothing: it gets a cache only where one is asked for.
func (s *session) setCache(config object) error {
	if s.TimingCache == "" && len(s.table.capabilities) == 0 {
		s.TimingCache = s.OwnTimings
	}
	if s.TimingCache == "" {
		return nil
	}
	blob, err := os.ReadFile(s.TimingCache)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	cache := object(config.call(s.table.config.createTimingCache, s.bytes(blob), uintptr(len(blob))))
	if cache.null() {
		return s.failure(fmt.Sprintf("the timing cache %s is not one of this library: remove it, or name another file", s.TimingCache))
	}
	if !config.is(s.table.config.setTimingCache, uintptr(cache), 0) {
		return s.failure("the timing cache was not taken")
	}
	return nil
}

func (s *session) saveCache(config object) error {
	if s.TimingCache == "" {
		return nil
	}
	cache := object(config.call(s.table.config.getTimingCache))
	if cache.null() {
		return nil
	}
	blob := object(cache.call(s.table.timingCache.serialize))
	if blob.null() {
		return s.failure("the timing cache cannot be saved")
	}
	temporary := fmt.Sprintf("%s.%d", s.TimingCache, os.Getpid())
	defer os.Remove(temporary)
	if err := os.WriteFile(temporary, s.contents(blob), 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, s.TimingCache)
}

// watch tells of the phases of the build as they come.
func (s *session) watch(config object) {
	in := func(phase, want string) bool { return want != "" && strings.Contains(phase, want) }
	monitor := s.monitor(s.table,
		func(phase, parent string, steps int) {
			s.crumb("phase " + phase)
			s.emit(Event{Kind: Phase, Text: phase, Parent: parent, Number: steps})
			if in(phase, s.Crash) {
				// On a thread and a stack of C's own, as a bug of the library would be.
				purego.SyscallN(word(word(uintptr(config))), 1)
			}
		},
		func(phase string, i int) bool {
			s.emit(Event{Kind: Step, Text: phase, Number: i})
			return !in(phase, s.Stop)
		},
		func(phase string) { s.emit(Event{Kind: Ended, Text: phase}) })
	config.call(s.table.config.setProgressMonitor, monitor)
}
