// Package document keeps users in the documents of a log: auth.Store over
// oplog.Documents, so that every engine of the log has it, and one database
// holds all.
//
// It promises what auth.Store promises, as far as the log keeps its own
// promises: each record is one document, each change one compare-and-set of the
// log. It knows no passwords, secrets or limits, only where each is written.
package document
