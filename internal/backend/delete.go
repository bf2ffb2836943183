package backend

import (
	"context"
	"net/http"
)

// Delete implements Backend.
func (r *Remote) Delete(ctx context.Context, bucket, key string) error {
	err := r.run(ctx, call{op: OpDelete, method: http.MethodDelete, bucket: bucket, key: key}, nil)
	if IsAbsent(err) {
		return nil // some servers say so when deletes race
	}
	return err
}
