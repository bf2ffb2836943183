// Package chaos holds the built binary to its promise of being linearizable per
// key while everything around it fails. Gateway and backends are killed and
// stopped; connections are cut, blackholed and slowed down; answers are dropped
// after their request was applied; requests are applied seconds after their
// sender was cut off. Then a binary with failpoints takes over the same data and
// is killed, stopped and held up between the steps of the protocol. Every
// client's view is recorded and judged by Porcupine, and after a calm in which
// every row is dropped the backends must be equal, byte for byte.
//
// A history that the checker can not judge counts as wrong, and so does a fault
// that hit nothing. With -chaos.times=settle-0 the same must find a violation.
//
// Its tests have the build tag chaos: make chaos DURATION=60s SEED=1.
package chaos
