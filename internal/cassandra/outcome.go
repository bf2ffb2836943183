package cassandra

import (
	"errors"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/s3mirror/s3mirror/internal/oplog"
)

// outcome says of the driver's error of a conditional statement whether it may
// have been applied (RELIABILITY R29). It was not when too few replicas were
// alive to begin a round of Paxos, and when no connection took it. Every other
// error, a time-out above all, leaves it open.
func outcome(err error) error {
	if err == nil {
		return nil
	}
	if unavailable(err) || errors.Is(err, gocql.ErrNoConnections) || errors.Is(err, gocql.ErrNoStreams) {
		return oplog.NotApplied(err)
	}
	return oplog.Unknown(err)
}

func unavailable(err error) bool {
	_, ok := errors.AsType[*gocql.RequestErrUnavailable](err)
	return ok
}
