//go:build linux && (amd64 || arm64)

package nvinfer

import (
	"fmt"
	"strings"
)

// selfCheck sets and reads back what can be set without harm: a table that is
// off by one fails here, by name, and not as a jump into nowhere later.
func (s *session) selfCheck(builder, network, config object) error {
	t := s.table
	var wrong []string
	check := func(what string, got, want any) {
		if got != want {
			wrong = append(wrong, fmt.Sprintf("%s is %v, want %v", what, got, want))
		}
	}
	threads := builder.number(t.builder.getMaxThreads)
	builder.call(t.builder.setMaxThreads, 7)
	check("threads", builder.number(t.builder.getMaxThreads), 7)
	builder.call(t.builder.setMaxThreads, uintptr(threads))

	check("network flags", network.number(t.network.getFlags), 1<<t.stronglyTyped)
	check("layers", network.number(t.network.getNbLayers), 0)
	check("inputs", network.number(t.network.getNbInputs), 0)
	check("outputs", network.number(t.network.getNbOutputs), 0)
	old := text(network.call(t.network.getName))
	network.call(t.network.setName, s.text("a name"))
	check("network name", text(network.call(t.network.getName)), "a name")
	network.call(t.network.setName, s.text(old))

	level := config.number(t.config.getBuilderOptimizationLevel)
	config.call(t.config.setBuilderOptimizationLevel, 1)
	check("optimization level", config.number(t.config.getBuilderOptimizationLevel), 1)
	config.call(t.config.setBuilderOptimizationLevel, uintptr(level))
	limit := config.call(t.config.getMemoryPoolLimit, 0)
	config.call(t.config.setMemoryPoolLimit, 0, 123<<20)
	check("workspace limit", config.call(t.config.getMemoryPoolLimit, 0), uintptr(123<<20))
	config.call(t.config.setMemoryPoolLimit, 0, limit)
	check("profiles", config.number(t.config.getNbOptimizationProfiles), 0)
	if len(t.capabilities) > 0 {
		config.call(t.config.setNbComputeCapabilities, 2)
		check("compute capabilities", config.number(t.config.getNbComputeCapabilities), 2)
		config.call(t.config.setComputeCapability, 89, 1)
		check("compute capability", config.number(t.config.getComputeCapability, 1), 89)
	}
	if wrong != nil {
		return fmt.Errorf("the slot table of %s does not fit this library: %s", t.name, strings.Join(wrong, "; "))
	}
	return nil
}
