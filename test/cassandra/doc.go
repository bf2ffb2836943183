// Package cassandra tests the log on a real Apache Cassandra of one node, which
// it starts itself (cassandra.sh): the contract, migration, a gateway on it, and
// what happens to a gateway whose Cassandra goes away. Run it by `make cassandra`.
package cassandra
