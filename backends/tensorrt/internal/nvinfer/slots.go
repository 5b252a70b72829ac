package nvinfer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// slots says, for one version of the library, where each virtual method that
// this package calls stands in its table, and the few numbers that differ
// between versions. A method that the version lacks has slot -1.
type slots struct {
	name            string
	parserVersion   uintptr // what createNvOnnxParser_INTERNAL is told
	versionedLogger bool    // ILogger derives from IVersionedInterface
	stronglyTyped   int32   // bit of NetworkDefinitionCreationFlag
	builderFlags    map[string]int
	capabilities    []int // that can be built for; none where the library builds for the machine's own GPU only

	builder     builderSlots
	config      configSlots
	profile     profileSlots
	network     networkSlots
	tensor      tensorSlots
	runtime     runtimeSlots
	engine      engineSlots
	execution   executionSlots
	memory      memorySlots
	timingCache timingCacheSlots
	parser      parserSlots
	parserError parserErrorSlots
	loggerLen   int
	logger      loggerSlots
	progressLen int
	progress    progressSlots
}

type builderSlots struct {
	createBuilderConfig, createNetworkV2, createOptimizationProfile, buildSerializedNetwork int
	setMaxThreads, getMaxThreads                                                            int
}

type configSlots struct {
	setFlag, getFlag, setMemoryPoolLimit, getMemoryPoolLimit int
	setBuilderOptimizationLevel, getBuilderOptimizationLevel int
	addOptimizationProfile, getNbOptimizationProfiles        int
	setProfilingVerbosity, getProfilingVerbosity             int
	createTimingCache, setTimingCache, getTimingCache        int
	setProgressMonitor                                       int
	setNbComputeCapabilities, getNbComputeCapabilities       int
	setComputeCapability, getComputeCapability               int
}

type profileSlots struct{ setDimensions, getDimensions, isValid, setShapeValuesV2 int }

type networkSlots struct {
	getName, setName, getNbInputs, getInput, getNbOutputs, getOutput, getNbLayers, getFlags int
}

type engineSlots struct {
	createExecutionContext, getNbIOTensors, getIOTensorName, getTensorDataType, getTensorIOMode, getTensorLocation int
}

type executionSlots struct{ setInputShape, getTensorShape, setTensorAddress, inferShapes, enqueueV3 int }

type (
	tensorSlots      struct{ getName, getDimensions, getType, isShapeTensor int }
	runtimeSlots     struct{ deserializeCudaEngine, setMaxThreads, getMaxThreads int }
	memorySlots      struct{ data, size int }
	timingCacheSlots struct{ serialize int }
	parserSlots      struct{ loadModelProto, loadInitializer, parseModelProto, getNbErrors, getError int }
	parserErrorSlots struct{ code, desc, node, nodeName, nodeOperator int }
	loggerSlots      struct{ log int }
	progressSlots    struct{ phaseStart, stepComplete, phaseFinish int }
)

var tables = map[int]*slots{}

func register(version int, t slots) { tables[version] = &t }

// tableFor is the version gate: a wrong slot is a jump into nowhere, so a
// version without a table is refused.
func tableFor(version int) (*slots, error) {
	if t := tables[version]; t != nil {
		return t, nil
	}
	var known []string
	for _, v := range slices.Sorted(maps.Keys(tables)) {
		known = append(known, tables[v].name)
	}
	return nil, fmt.Errorf("%s: the library has version %s; hone knows %s",
		UnknownVersion, VersionString(version), strings.Join(known, ", "))
}

// UnknownVersion begins the reason of a job that failed at the version gate.
const UnknownVersion = "unknown TensorRT version"

// VersionString writes what getInferLibVersion returns as people write it.
func VersionString(v int) string { return fmt.Sprintf("%d.%d.%d", v/10000, v/100%100, v%100) }

// Capabilities lists the compute capabilities that a version of the library
// can build for on a machine without them; none for an unknown version.
func Capabilities(version int) []int {
	if t := tables[version]; t != nil {
		return slices.Clone(t.capabilities)
	}
	return nil
}
