// Package legalize turns a module of the core level into what TensorRT takes:
// passes that rewrite what its parser refuses, one that sets the precision by
// inserting casts (TensorRT networks are strongly typed: the types in the model
// decide), and a table of what is refused, and why, before anything is built.
//
// It knows the IR, the operators and what TensorRT's builder was seen to do; it
// does not load NVIDIA's library.
package legalize
