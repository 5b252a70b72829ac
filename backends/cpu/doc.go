// Package cpu lowers modules to the cpu level and runs them on kernels.
//
// Compile groups ops into fused ones (by the table in pointwise.go), replaces
// weights by their packed forms and gives values the layouts that kernels
// want; the result is a module at the cpu level, which the interpreter can
// still run, and which a bundle stores.
//
// A Session loads such a module and makes a plan for the shapes of its
// inputs: which driver of package rt computes each op, and where in one arena
// each value lies. Whatever no driver computes is evaluated by ir/ops.
package cpu
