// Package wire holds what real S3 clients send, byte by byte, and what the
// gateway answers.
//
// testdata/CLIENT/SCHEME/NN-Operation.http is one request as it came off the
// connection (inside of TLS for https), signed with the keys of this package;
// NN-Operation.golden beside it is the answer, without what differs each time,
// and what the backends hold afterwards. testdata/versions.txt names the versions
// of the clients.
//
// TestReplay needs neither clients nor a network: it feeds every session, in
// order, through the gateway's strict listener and its whole chain to three
// servers in memory, with the clock at the time of the capture, and does so
// again with the bytes cut in other places. `make wire-update` captures anew.
package wire
