// Package sim drives the protocol of package commit from one seed: clients,
// gateways, a shared log and backends are simulated in virtual time, with the
// faults of a bad year packed into a minute. It decides nothing: every decision
// is commit's, and the same seed replays the same schedule event by event.
//
// After each event the invariants I1-I10 are checked against the true state of
// the world, which no gateway can see; afterwards the faults stop, the healers
// drain, the replicas must be equal (I11), and every client history is checked
// for linearizability per key.
//
// It is for tests and for long nights; no product code imports it.
package sim
