package auth

import (
	"errors"
	"testing"

	"github.com/s3mirror/s3mirror/internal/s3"
)

func TestErrorsThatAreNoRefusal(t *testing.T) {
	cause := errors.New("out of memory")
	if err := asS3(cause); err.Code != s3.InternalError || !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}
