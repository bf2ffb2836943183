package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/heal"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// Replication is what operators set while nodes run: a *replica.Set. Its errors are
// replica's sentinels, hold an *s3.Error that the caller may read, or are our own.
type Replication interface {
	Modes(ctx context.Context) (replica.Modes, error)
	SetMode(ctx context.Context, bucket string, m replica.Mode) error
	CreateBucketAt(ctx context.Context, bucket string, at replica.Placement, actor, request string) error
	SetReplicas(ctx context.Context, bucket string, at replica.Placement) error
	SetAssumeEqual(ctx context.Context, bucket string, equal bool) error
	SetAck(ctx context.Context, bucket string, rule *replica.Rule) error
	Pauses() map[string]replica.Pause
	Pause(ctx context.Context, backend string, until time.Time) error
	Resume(ctx context.Context, backend string) error
	Names() []string // of all backends, in the order of the configuration
	Paces() map[string]replica.Pace
	SetPace(ctx context.Context, backend string, p *replica.Pace) error
}

// Healer tells what the healer is about: a *heal.Healer.
type Healer interface{ Stats() heal.Stats }

// replicationProblem is what the caller is told of an error of Replication.
func replicationProblem(err error) error {
	switch {
	case errors.Is(err, replica.ErrUnknownBackend):
		return fmt.Errorf("%w: %w", ErrUnknownBackend, err)
	case errors.Is(err, replica.ErrUnfitting):
		p := problem(http.StatusConflict, "unfitting", "That does not fit", "%s", replica.Unfitting(err))
		p.cause = err
		return p
	}
	return err
}

// Replication is all of it in one document.
func (h face) Replication(ctx context.Context, _ api.ReplicationRequestObject) (api.ReplicationResponseObject, error) {
	modes, err := h.modes(ctx)
	if err != nil {
		return nil, err
	}
	status, err := h.Source.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	st := h.Healer.Stats()
	healer := api.Healer{Queued: st.Queued, Waiting: st.Waiting, Running: st.Running, LastFailure: moment(st.Last.Time)}
	if st.Last.Err != nil {
		healer.LastError = st.Last.Err.Error()
	}
	return api.Replication200JSONResponse{
		Mode: modes.Mode, Primary: modes.Primary, Buckets: modes.Buckets, Paused: h.pauses(), Paces: h.paces().Backends,
		Healer: healer, Converged: status.Converged, Lagging: status.Lagging,
	}, nil
}

func (h face) modes(ctx context.Context) (api.Modes, error) {
	modes, err := h.Handler.Replication.Modes(ctx)
	if err != nil {
		return api.Modes{}, fmt.Errorf("modes: %w", err)
	}
	out := api.Modes{Mode: modeWord(modes.All), Primary: modes.All.Primary, Buckets: []api.BucketMode{}}
	for _, bucket := range slices.Sorted(maps.Keys(modes.Own)) {
		m := modes.Own[bucket]
		out.Buckets = append(out.Buckets, api.BucketMode{Bucket: bucket, Mode: modeWord(m), Primary: m.Primary})
	}
	return out, nil
}

func modeWord(m replica.Mode) api.Mode {
	if m.Active() {
		return api.ModeActive
	}
	return api.ModeDisabled
}

// GetMode shows the modes.
func (h face) GetMode(ctx context.Context, _ api.GetModeRequestObject) (api.GetModeResponseObject, error) {
	modes, err := h.modes(ctx)
	return api.GetMode200JSONResponse{ModesJSONResponse: api.ModesJSONResponse(modes)}, err
}

// SetMode changes one.
func (h face) SetMode(ctx context.Context, r api.SetModeRequestObject) (api.SetModeResponseObject, error) {
	c, want := callOf(ctx), *r.Body
	c.target = short(cmp.Or(want.Bucket, "all buckets"))
	m, err := modeOf(want.Mode, want.Primary)
	if err != nil {
		return nil, err
	}
	c.detail = short(m.String())
	if err := h.Handler.Replication.SetMode(ctx, want.Bucket, m); err != nil {
		return nil, fmt.Errorf("set mode: %w", replicationProblem(err))
	}
	modes, err := h.modes(ctx)
	return api.SetMode200JSONResponse{ModesJSONResponse: api.ModesJSONResponse(modes)}, err
}

// modeOf reads a mode that somebody asks for.
func modeOf(word api.Mode, primary string) (replica.Mode, error) {
	m := replica.Mode{Primary: primary}
	switch {
	case !word.Valid():
		return m, badMode("mode %q: want active or disabled", word)
	case word == api.ModeDisabled && m.Active():
		return m, badMode("mode disabled needs a primary: the backend that takes reads and writes")
	case word == api.ModeActive && !m.Active():
		return m, badMode("mode active has no primary")
	}
	return m, nil
}

func badMode(format string, args ...any) *Problem {
	return problem(http.StatusBadRequest, "bad-mode", "That is no mode", format, args...)
}

// PauseBackend takes a backend out.
func (h face) PauseBackend(ctx context.Context, r api.PauseBackendRequestObject) (api.PauseBackendResponseObject, error) {
	c := callOf(ctx)
	c.target = short(r.Name)
	var until time.Time
	if r.Body != nil {
		until = value(r.Body.Until)
	}
	if !until.IsZero() {
		c.detail = "until " + until.UTC().Format(time.RFC3339)
	}
	if err := h.Handler.Replication.Pause(ctx, r.Name, until); err != nil {
		return nil, fmt.Errorf("pause backend %q: %w", r.Name, replicationProblem(err))
	}
	b, err := h.backend(ctx, r.Name)
	return api.PauseBackend200JSONResponse{BackendJSONResponse: api.BackendJSONResponse(b)}, err
}

// ResumeBackend takes it in again.
func (h face) ResumeBackend(ctx context.Context, r api.ResumeBackendRequestObject) (api.ResumeBackendResponseObject, error) {
	callOf(ctx).target = short(r.Name)
	if err := h.Handler.Replication.Resume(ctx, r.Name); err != nil {
		return nil, fmt.Errorf("resume backend %q: %w", r.Name, replicationProblem(err))
	}
	b, err := h.backend(ctx, r.Name)
	return api.ResumeBackend200JSONResponse{BackendJSONResponse: api.BackendJSONResponse(b)}, err
}

func (h face) pauses() []api.Pause {
	out, paused := []api.Pause{}, h.Handler.Replication.Pauses()
	for _, name := range slices.Sorted(maps.Keys(paused)) {
		p := paused[name]
		out = append(out, api.Pause{Backend: name, Since: p.Since.UTC(), Until: moment(p.Until)})
	}
	return out
}

func (h face) paces() api.Paces {
	out, paces := api.Paces{Backends: []api.Pace{}}, h.Handler.Replication.Paces()
	for _, name := range h.Handler.Replication.Names() {
		p := paces[name]
		out.Backends = append(out.Backends, api.Pace{Backend: name, BytesPerSecond: p.BytesPerSecond, RequestsPerSecond: p.RequestsPerSecond})
	}
	return out
}

// GetPace shows what heals may take.
func (h face) GetPace(context.Context, api.GetPaceRequestObject) (api.GetPaceResponseObject, error) {
	return api.GetPace200JSONResponse{PacesJSONResponse: api.PacesJSONResponse(h.paces())}, nil
}

// SetPace limits it.
func (h face) SetPace(ctx context.Context, r api.SetPaceRequestObject) (api.SetPaceResponseObject, error) {
	c, want := callOf(ctx), *r.Body
	c.target = short(cmp.Or(want.Backend, "all backends"))
	c.detail = fmt.Sprintf("%d bytes and %v requests a second", want.BytesPerSecond, want.RequestsPerSecond)
	if want.BytesPerSecond < 0 || want.RequestsPerSecond < 0 || math.IsInf(want.RequestsPerSecond, 0) || math.IsNaN(want.RequestsPerSecond) {
		return nil, problem(http.StatusBadRequest, "bad-pace", "That is no pace", "a limit is 0 (none) or more")
	}
	p := replica.Pace{BytesPerSecond: want.BytesPerSecond, RequestsPerSecond: want.RequestsPerSecond}
	if err := h.Handler.Replication.SetPace(ctx, want.Backend, &p); err != nil {
		return nil, fmt.Errorf("set pace: %w", replicationProblem(err))
	}
	return api.SetPace200JSONResponse{PacesJSONResponse: api.PacesJSONResponse(h.paces())}, nil
}

// ResetPace brings the configuration's limits back.
func (h face) ResetPace(ctx context.Context, r api.ResetPaceRequestObject) (api.ResetPaceResponseObject, error) {
	backend := value(r.Params.Backend)
	callOf(ctx).target = short(cmp.Or(backend, "all backends"))
	if err := h.Handler.Replication.SetPace(ctx, backend, nil); err != nil {
		return nil, fmt.Errorf("reset pace: %w", replicationProblem(err))
	}
	return api.ResetPace200JSONResponse{PacesJSONResponse: api.PacesJSONResponse(h.paces())}, nil
}
