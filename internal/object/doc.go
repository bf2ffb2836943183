// Package object holds the words that every other package speaks: the name of
// an object, the identity and the place of one of its versions, what a version
// is made of, and the stamp that a stored copy carries.
//
// It promises that two equal values mean the same thing on every node and in
// every layer. It knows no storage, no wire format but the stamp's, and no
// other package of this module.
package object
