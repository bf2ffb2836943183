package admin

import (
	"context"
	"errors"
	"fmt"

	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// What a Source cannot do about a backend.
var (
	// ErrUnknownBackend: the name is not in the configuration.
	ErrUnknownBackend = errors.New("there is no such backend")
	// ErrNoBucket: it has no bucket of ours to probe in.
	ErrNoBucket = errors.New("there is no bucket on that backend to probe in")
	// ErrBackendAway wraps why a backend cannot be asked, in words for the caller.
	ErrBackendAway = errors.New("the backend does not answer")
)

// Backends are all that are configured.
func (h face) Backends(ctx context.Context, _ api.BackendsRequestObject) (api.BackendsResponseObject, error) {
	list, err := h.Source.Backends(ctx)
	if err != nil {
		return nil, fmt.Errorf("backends: %w", err)
	}
	return api.Backends200JSONResponse{Backends: listed(list)}, nil
}

// GetBackend is one of them, in detail.
func (h face) GetBackend(ctx context.Context, r api.GetBackendRequestObject) (api.GetBackendResponseObject, error) {
	b, err := h.backend(ctx, r.Name)
	return api.GetBackend200JSONResponse{BackendJSONResponse: api.BackendJSONResponse(b)}, err
}

func (h face) backend(ctx context.Context, name string) (BackendDetail, error) {
	b, err := h.Source.Backend(ctx, name)
	if err != nil {
		return b, fmt.Errorf("backend %q: %w", name, err)
	}
	b.Buckets = listed(b.Buckets)
	return b, nil
}

// QualifyBackend probes one anew.
func (h face) QualifyBackend(ctx context.Context, r api.QualifyBackendRequestObject) (api.QualifyBackendResponseObject, error) {
	callOf(ctx).target = short(r.Name)
	p, err := h.Source.Qualify(ctx, r.Name)
	if err != nil {
		return nil, fmt.Errorf("qualify backend %q: %w", r.Name, err)
	}
	p.Reasons, p.Findings = listed(p.Reasons), listed(p.Findings)
	return api.QualifyBackend200JSONResponse(p), nil
}
