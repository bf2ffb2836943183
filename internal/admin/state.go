package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// face implements what the description says: one method per operation. A caller
// has been admitted before one is called.
type face struct{ *Handler }

var _ api.StrictServerInterface = face{}

// Health says that the process lives, whatever it can reach.
func (face) Health(context.Context, api.HealthRequestObject) (api.HealthResponseObject, error) {
	return api.Health200TextResponse("ok\n"), nil
}

// Ready says whether writes can succeed: the log answers and the ack rule can
// be met.
func (h face) Ready(ctx context.Context, _ api.ReadyRequestObject) (api.ReadyResponseObject, error) {
	if err := h.Source.Ready(ctx); err != nil {
		p := problem(http.StatusServiceUnavailable, "not-ready", "Not ready", "%v", err)
		p.cause = err
		return nil, p
	}
	return api.Ready200TextResponse("ready\n"), nil
}

// Version says what runs here.
func (h face) Version(context.Context, api.VersionRequestObject) (api.VersionResponseObject, error) {
	return api.Version200JSONResponse(h.Handler.Version), nil
}

// Status is the node in one document.
func (h face) Status(ctx context.Context, _ api.StatusRequestObject) (api.StatusResponseObject, error) {
	s, err := h.Source.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	s.Backends = listed(s.Backends)
	return api.Status200JSONResponse(s), nil
}

// Lag is how far each backend is behind.
func (h face) Lag(ctx context.Context, _ api.LagRequestObject) (api.LagResponseObject, error) {
	l, err := h.Source.Lag(ctx)
	if err != nil {
		return nil, fmt.Errorf("lag: %w", err)
	}
	l.Backends = listed(l.Backends)
	for i := range l.Backends {
		l.Backends[i].Buckets = listed(l.Backends[i].Buckets)
	}
	return api.Lag200JSONResponse(l), nil
}

// listed is a list that JSON shows as one even when it is empty.
func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// DemoOn lets an endpoint answer again.
func (h face) DemoOn(ctx context.Context, r api.DemoOnRequestObject) (api.DemoOnResponseObject, error) {
	state, err := h.switchTo(ctx, r.Name, true)
	return api.DemoOn200JSONResponse{SwitchedJSONResponse: state}, err
}

// DemoOff makes an endpoint unreachable.
func (h face) DemoOff(ctx context.Context, r api.DemoOffRequestObject) (api.DemoOffResponseObject, error) {
	state, err := h.switchTo(ctx, r.Name, false)
	return api.DemoOff200JSONResponse{SwitchedJSONResponse: state}, err
}

func (h face) switchTo(ctx context.Context, name string, on bool) (api.SwitchedJSONResponse, error) {
	callOf(ctx).target = name
	if h.Handler.Demo == nil {
		return api.SwitchedJSONResponse{}, notADemo()
	}
	if err := h.Handler.Demo.Switch(name, on); err != nil {
		return api.SwitchedJSONResponse{}, fmt.Errorf("switch backend %q: %w", name, err)
	}
	return api.SwitchedJSONResponse{Name: name, On: on}, nil
}

func notADemo() *Problem {
	return problem(http.StatusNotFound, "not-a-demo", "This is not a demo", "only the endpoints of `s3mirror demo` can be switched")
}

// demo does something with the demo, and tells how it stands then.
func (h face) demo(act func(Demo) error) (api.DemoStateJSONResponse, error) {
	if h.Handler.Demo == nil {
		return api.DemoStateJSONResponse{}, notADemo()
	}
	err := act(h.Handler.Demo)
	return api.DemoStateJSONResponse(h.Handler.Demo.State()), err
}

// Demo tells how the demo stands.
func (h face) Demo(context.Context, api.DemoRequestObject) (api.DemoResponseObject, error) {
	state, err := h.demo(func(Demo) error { return nil })
	return api.Demo200JSONResponse{DemoStateJSONResponse: state}, err
}

// DemoLoadOn begins the load.
func (h face) DemoLoadOn(context.Context, api.DemoLoadOnRequestObject) (api.DemoLoadOnResponseObject, error) {
	state, err := h.demo(func(d Demo) error { d.Load(true); return nil })
	return api.DemoLoadOn200JSONResponse{DemoStateJSONResponse: state}, err
}

// DemoLoadOff ends it.
func (h face) DemoLoadOff(context.Context, api.DemoLoadOffRequestObject) (api.DemoLoadOffResponseObject, error) {
	state, err := h.demo(func(d Demo) error { d.Load(false); return nil })
	return api.DemoLoadOff200JSONResponse{DemoStateJSONResponse: state}, err
}

// DemoSlow makes an endpoint slow.
func (h face) DemoSlow(ctx context.Context, r api.DemoSlowRequestObject) (api.DemoSlowResponseObject, error) {
	callOf(ctx).target = r.Name
	state, err := h.demo(func(d Demo) error { return d.Slow(r.Name) })
	if err != nil {
		return nil, fmt.Errorf("slow backend %q: %w", r.Name, err)
	}
	return api.DemoSlow200JSONResponse{DemoStateJSONResponse: state}, nil
}

// DemoCorrupt corrupts the newest object of an endpoint.
func (h face) DemoCorrupt(ctx context.Context, r api.DemoCorruptRequestObject) (api.DemoCorruptResponseObject, error) {
	callOf(ctx).target = r.Name
	state, err := h.demo(func(d Demo) error { return d.Corrupt(r.Name) })
	switch {
	case errors.Is(err, ErrNothingThere):
		return nil, problem(http.StatusConflict, "nothing-to-corrupt", "Nothing to corrupt", "backend %s: %v: write one first", r.Name, err)
	case err != nil:
		return nil, fmt.Errorf("corrupt an object of backend %q: %w", r.Name, err)
	}
	return api.DemoCorrupt200JSONResponse{DemoStateJSONResponse: state}, nil
}

// The bounds of a page.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// limitOf is how many entries a page is to have.
func limitOf(limit *api.Limit) (int, error) {
	switch {
	case limit == nil:
		return defaultLimit, nil
	case *limit < 1 || *limit > maxLimit:
		return 0, problem(http.StatusBadRequest, "bad-parameter", "Wrong parameter", "limit: want 1 to %d", maxLimit)
	}
	return *limit, nil
}

// value is what a pointer leads to; nil leads to the zero value.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
