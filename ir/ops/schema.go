package ops

type Param struct {
	Name, Type string
	Optional   bool
	Variadic   bool
	Min        int
}
type AttrSpec struct {
	Name, Kind string
	Required   bool
	Default    any
}
type Schema struct {
	Name, Domain string
	Since        int
	Inputs       []Param
	Outputs      []Param
	Attrs        []AttrSpec
	Types        map[string][]string
}

func Latest(domain, name string) (*Schema, bool) { return nil, false }
func (s *Schema) MinOutputs() int                { return 1 }
