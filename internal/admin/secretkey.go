package admin

import (
	"context"
	"fmt"
	"net/http"

	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// RotateSecretKey changes the deployment's secret key. It goes on when its caller goes
// away.
func (h face) RotateSecretKey(ctx context.Context, _ api.RotateSecretKeyRequestObject) (api.RotateSecretKeyResponseObject, error) {
	if h.SecretKey == nil {
		return nil, problem(http.StatusNotFound, "not-found", "There is nothing here", "")
	}
	n, err := h.SecretKey.Rotate(context.WithoutCancel(ctx))
	if err != nil {
		return nil, fmt.Errorf("change the secret key: %w", err)
	}
	callOf(ctx).detail = fmt.Sprintf("%d records were sealed anew", n)
	return api.RotateSecretKey200JSONResponse{Resealed: n}, nil
}
