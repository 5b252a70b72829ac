package cpu

// InputError is a mistake in the inputs of a run: one is missing, unknown, or
// of another type or shape than the model takes.
type InputError struct {
	Input   string // its name as given
	Problem string // what is wrong and what the model takes
	// Claimed is the name of a dim that the model claims to be equal in all
	// inputs, where it is not: splitting the name helps.
	Claimed string
}

// Error returns the problem, which names the input.
func (e *InputError) Error() string { return e.Problem }
