// Package rewrite is the rewrite engine: it reads rules from .rules files and
// applies them to a module. A rule is a pattern over ops, conditions, and what
// to put in its place:
//
//	rule    silu
//	doc     x * sigmoid(x), as every exporter writes SiLU
//	match   Mul(x, Sigmoid(x))
//	where   f32(x)
//	emit    Swish(x)
//	example x=f32[2,3]
//	except  Mul(x, Sigmoid(y))
//
// Each clause begins a line; a line that begins with white space goes on with
// the clause before it; # begins a comment.
//
//	match  EXPR               the pattern; several clauses are alternatives
//	where  PRED(ARG, ...), …  conditions, see predicates.go; all must hold
//	let    NAME = EXPR        a value to use in emit more than once
//	emit   EXPR               the replacement of the pattern's outermost op
//	example NAME=TYPE, …      types of the holes, to check the rule with
//	except EXPR               a near miss that must not match
//
// A pattern EXPR is one of
//
//	name            a hole: any value; the same name again is the same value
//	name:const      a hole that takes constants only; name:scalar, constants of one element
//	name?           a hole for an operand that may be absent
//	name...         the rest of the operands, any number
//	name@Op(...)    a hole with a pattern for what is in it
//	1.5             a constant of one element with that value
//	[0, 1]          a constant list of integers
//	Op(EXPR, ...)   an op; operands of commutative ops match in either order
//
// An op may be followed by its attributes in braces: axis=1 must have that
// value, axis=$a binds it, and *a binds all that are not named. Attributes
// that are not mentioned must be absent or have their default. Ops inside a
// pattern must have no uses outside of it.
//
// In emit, an EXPR is built: holes are values, numbers constants of the type
// of the replaced value, lists int64 constants. What can be computed at
// compile time is written as ops on constants; constant folding does the rest.
package rewrite
