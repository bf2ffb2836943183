// Command bench measures s3mirror: docs/performance.md is its output. It is
// run by `make bench`; it builds nothing, asserts nothing about speed, and exits
// with an error only when it could not measure.
//
// A row of the table compares two ways to do the same work, which take turns in
// rounds so that both see the same machine. A round in which other programs used
// more than a twentieth of the processors is void. See experiment.
package main
