// Package ir is hone's SSA intermediate representation.
//
// A [Module] holds functions, a [Func] one [Block] of [Op]s, and an op may
// hold blocks of its own as regions (the branches of an If, the body of a
// Loop, the meaning of a fused op), whose ops see the values defined outside.
// Every [Value] is defined once, by an op or as a block's argument, has a
// [Type] with symbolic dims, and knows its uses and its origin in the source
// model.
//
// Operators keep their ONNX names and the meaning of the newest opset. What
// an operator means, which operands it takes and how shapes flow through it
// is not known here but in ir/ops; this package knows structure: building,
// rewriting, verifying, printing and parsing.
//
// Printing and parsing round-trip byte for byte: see [Print] and [Parse].
package ir
