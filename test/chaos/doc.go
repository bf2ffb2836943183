// Package chaos holds the built binary to its promise of being linearizable per
// key while everything around it fails: gateway and backends are killed and
// stopped, connections are cut, blackholed and slowed down, answers are dropped
// after their request was applied. Every client's view is recorded and judged by
// Porcupine, and in the end the backends must be equal, byte for byte.
//
// Its tests have the build tag chaos: make chaos DURATION=60s SEED=1.
package chaos
