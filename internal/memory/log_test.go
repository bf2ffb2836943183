package memory_test

import (
	"testing"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/oplog/oplogtest"
)

func TestLogKeepsTheContract(t *testing.T) {
	oplogtest.Run(t, oplogtest.Tolerance{}, func(*testing.T) oplogtest.Harness {
		return oplogtest.Harness{Log: memory.NewLog()}
	})
}
