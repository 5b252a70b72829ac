// Package arch holds the house rules that the compiler does not check: which package may import which, what a program
// that only loads bundles may link, and that every package says what it is. It is all tests.
package arch
