// Package harness runs the world that an end-to-end test looks at: versitygw
// processes as backends, the built s3mirror binary as gateway or demo, an S3
// client of its own, a model of what was acknowledged, and a comparison of
// what the backends really hold.
//
// Every process is started by the test that uses it, listens on the loopback
// interface only, is signalled by its own pid, and dies with the test. Waits
// poll for a condition with a generous deadline; nothing sleeps to pass. The
// product is seen from outside only: its binary, its ports, its documents, and
// the format of the stamp, which lies on the backends for everyone to see.
package harness
