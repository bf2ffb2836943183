package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// Backends adds, changes and removes backends while nodes run. Its errors are replica's
// sentinels, ErrBackendAway, a *WrongBackend, a *RefusedBackend, or are our own.
type Backends interface {
	Add(ctx context.Context, b api.NewBackend) error
	Change(ctx context.Context, name string, c api.BackendChange) error
	Remove(ctx context.Context, name string) error
}

// WrongBackend is what is wrong with what was said of a backend, in words for the caller.
type WrongBackend struct{ Err error }

func (e *WrongBackend) Error() string { return e.Err.Error() }

// Unwrap returns the faults.
func (e *WrongBackend) Unwrap() error { return e.Err }

// RefusedBackend is the report on a backend that is unfit to hold replicas.
type RefusedBackend struct{ Probe Probe }

func (e *RefusedBackend) Error() string {
	return fmt.Sprintf("the backend is refused: %v", e.Probe.Reasons)
}

// backendProblem is what the caller is told of an error of Backends.
func backendProblem(err error) error {
	var wrong *WrongBackend
	var refused *RefusedBackend
	var p *Problem
	switch {
	case errors.As(err, &wrong):
		p = problem(http.StatusBadRequest, "bad-backend", "That is no backend", "%v", wrong)
	case errors.As(err, &refused):
		p = problem(http.StatusUnprocessableEntity, "backend-refused", "The backend is unfit to hold replicas", "%s", strings.Join(refused.Probe.Reasons, "; "))
		rep := refused.Probe
		rep.Reasons, rep.Findings = listed(rep.Reasons), listed(rep.Findings)
		p.Probe = &rep
	case errors.Is(err, replica.ErrBackendExists):
		p = problem(http.StatusConflict, "backend-exists", "There is such a backend already", "")
	case errors.Is(err, replica.ErrOfFile):
		p = problem(http.StatusConflict, "backend-configured", "That backend is the configuration's", "change the configuration of every node, and start it anew")
	default:
		return replicationProblem(err)
	}
	p.cause = err
	return p
}

// backendsAtRunTime does something to the backends; the error is for the caller. A service
// that seals no secrets takes none in, and has nothing here.
func (h face) backendsAtRunTime(do func(Backends) error) error {
	if h.Handler.Backends == nil {
		return problem(http.StatusNotFound, "not-found", "There is nothing here", "")
	}
	if err := do(h.Handler.Backends); err != nil {
		return backendProblem(err)
	}
	return nil
}

// AddBackend takes one in.
func (h face) AddBackend(ctx context.Context, r api.AddBackendRequestObject) (api.AddBackendResponseObject, error) {
	c := callOf(ctx)
	c.target, c.detail = short(r.Body.Name), short(r.Body.Endpoint)
	if err := h.backendsAtRunTime(func(b Backends) error { return b.Add(ctx, *r.Body) }); err != nil {
		return nil, fmt.Errorf("add backend %q: %w", r.Body.Name, err)
	}
	b, err := h.backend(ctx, r.Body.Name)
	return api.AddBackend201JSONResponse{BackendJSONResponse: api.BackendJSONResponse(b)}, err
}

// ChangeBackend has one spoken to in another way.
func (h face) ChangeBackend(ctx context.Context, r api.ChangeBackendRequestObject) (api.ChangeBackendResponseObject, error) {
	c := callOf(ctx)
	c.target, c.detail = short(r.Name), short(value(r.Body.Endpoint))
	if err := h.backendsAtRunTime(func(b Backends) error { return b.Change(ctx, r.Name, *r.Body) }); err != nil {
		return nil, fmt.Errorf("change backend %q: %w", r.Name, err)
	}
	b, err := h.backend(ctx, r.Name)
	return api.ChangeBackend200JSONResponse{BackendJSONResponse: api.BackendJSONResponse(b)}, err
}

// RemoveBackend takes one out.
func (h face) RemoveBackend(ctx context.Context, r api.RemoveBackendRequestObject) (api.RemoveBackendResponseObject, error) {
	callOf(ctx).target = short(r.Name)
	if err := h.backendsAtRunTime(func(b Backends) error { return b.Remove(ctx, r.Name) }); err != nil {
		return nil, fmt.Errorf("remove backend %q: %w", r.Name, err)
	}
	return api.RemoveBackend204Response{}, nil
}
