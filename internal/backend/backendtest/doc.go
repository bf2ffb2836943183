// Package backendtest holds the promises of the contract backend.Endpoint as
// tests (Run), and the ways in which a network fails as a type (Faults). Every
// endpoint and every wrapper runs the suite; what a server may do differently
// from S3 is declared as a tolerance, so that doc and suite never disagree.
package backendtest
