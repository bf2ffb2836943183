package replica

import (
	"context"
	"encoding/json"
	"io"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
)

// identityKey is the object by which a bucket on a backend is known to be the
// replica that the log means.
const identityKey = object.ReservedPrefix + "identity"

// Identity is its content, JSON.
type Identity struct {
	Deployment string `json:"deployment"` // of the log
	Bucket     string `json:"bucket"`     // logical name
	Generation string `json:"generation"` // of the bucket
	Backend    string `json:"backend"`
}

// ReadIdentity reads the identity of a bucket on one backend; false: it has none. One that
// can not be understood is the zero Identity, which is nobody's.
func ReadIdentity(ctx context.Context, e backend.Endpoint, real string) (id Identity, there bool, err error) {
	obj, err := e.Get(ctx, real, identityKey, backend.GetOptions{})
	if backend.IsAbsent(err) {
		return id, false, nil
	}
	if err != nil {
		return id, false, err
	}
	defer obj.Body.Close()
	text, err := io.ReadAll(io.LimitReader(obj.Body, 4096))
	if err != nil {
		return id, false, err
	}
	if json.Unmarshal(text, &id) != nil {
		id = Identity{}
	}
	return id, true, nil
}
