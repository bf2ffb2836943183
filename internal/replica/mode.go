package replica

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// Errors of what operators ask for.
var (
	// ErrUnknownBackend: no backend of that name is configured.
	ErrUnknownBackend = errors.New("no such backend")
	// ErrUnfitting is wrapped by the refusal of a setting that would leave a bucket
	// without a backend to write to. Its text says which, and what to do.
	ErrUnfitting = errors.New("that does not fit")
)

// Unfitting is what an ErrUnfitting says, without the sentinel's own words.
func Unfitting(err error) string {
	var u *unfit
	if errors.As(err, &u) {
		return u.text
	}
	return err.Error()
}

// IsUnfitting tells whether an error wraps ErrUnfitting.
func IsUnfitting(err error) bool { return errors.Is(err, ErrUnfitting) }

// unfit wraps ErrUnfitting.
type unfit struct{ text string }

func (u *unfit) Error() string { return u.text }
func (*unfit) Unwrap() error   { return ErrUnfitting }

func unfitting(format string, args ...any) error {
	return &unfit{fmt.Sprintf(format, args...)}
}

// Mode is commit's, for those who may not import it.
type Mode = commit.Mode

// Rule is commit's, for the same.
type Rule = commit.Rule

// Modes are the modes in force.
type Modes struct {
	All commit.Mode            // of every bucket that is not in Own
	Own map[string]commit.Mode // of buckets that were given one
}

// Modes reads the modes from the log.
func (s *Set) Modes(ctx context.Context) (Modes, error) {
	out := Modes{All: s.settings.mode(), Own: map[string]commit.Mode{}}
	err := s.records(ctx, func(name string, rec *record) {
		if rec.Mode != nil {
			out.Own[name] = *rec.Mode
		}
	})
	return out, err
}

// records reads every bucket's record.
func (s *Set) records(ctx context.Context, do func(name string, rec *record)) error {
	for after := ""; ; {
		docs, err := s.o.Log.Docs(ctx, oplog.DocBucket, after, 1000)
		if err != nil {
			s.logFailed(callRead, err)
			return unavailable(err)
		}
		for _, doc := range docs {
			after = doc.Name
			rec, err := recordOf(doc)
			if err != nil {
				return s3.Err(s3.InternalError).Because(err)
			}
			do(doc.Name, &rec)
		}
		if len(docs) < 1000 {
			return nil
		}
	}
}

// SetMode disables replication, or makes it active again: of one bucket, or, when
// bucket is empty, of every bucket that has no mode of its own. A bucket whose mode
// equals that of all has none of its own afterwards. Writes that are under way
// keep the mode that they began with; whatever begins after SetMode has returned
// knows the new one. Keys that lag heal by themselves once their bucket is active.
//
// ErrUnknownBackend, ErrUnfitting, NoSuchBucket, SlowDown.
func (s *Set) SetMode(ctx context.Context, bucket string, m commit.Mode) error {
	if !m.Active() {
		if s.stack(m.Primary) == nil {
			return fmt.Errorf("%w: %q", ErrUnknownBackend, m.Primary)
		}
		if s.Paused(m.Primary) {
			return unfitting("backend %s is paused: resume it first", m.Primary)
		}
	}
	if bucket == "" {
		return s.setModeOfAll(ctx, m)
	}
	b, err := s.buckets.lookup(ctx, bucket)
	if err != nil {
		return err
	}
	rec := b.record()
	if err := carries(bucket, &rec, m); err != nil {
		return err
	}
	ctx, cancel := s.steady(ctx)
	defer cancel()
	err = b.amend(ctx, func(rec *record) {
		rec.Mode = &m
		if m == s.settings.mode() {
			rec.Mode = nil
		}
	})
	if err != nil {
		return unavailable(err)
	}
	if !s.o.Exclusive {
		pauseFor(ctx, recordFresh) // by then every node reads its record again
	}
	s.o.Logger.InfoContext(ctx, "mode of a bucket was set", "bucket", bucket, "mode", m.String())
	return nil
}

func (s *Set) setModeOfAll(ctx context.Context, m commit.Mode) error {
	var misfits []error
	if !m.Active() {
		err := s.records(ctx, func(name string, rec *record) {
			if err := carries(name, rec, m); err != nil && rec.Mode == nil {
				misfits = append(misfits, err)
			}
		})
		if err != nil {
			return err
		}
	}
	if len(misfits) > 0 {
		return misfits[0] // the first by name: one at a time is mended
	}
	err := s.settings.change(ctx, func(rec *settingsRecord) error { rec.Mode = &m; return nil })
	if err == nil {
		s.o.Logger.InfoContext(ctx, "mode of replication was set", "mode", m.String())
	}
	return err
}

// carries tells whether a bucket can live on a mode's primary.
func carries(name string, rec *record, m commit.Mode) error {
	switch {
	case m.Active():
	case !rec.Replicas.Has(m.Primary):
		return unfitting("bucket %s is not on backend %s, only on %s: choose one of them, or give the bucket a mode of its own", name, m.Primary, strings.Join(rec.Replicas, ", "))
	case rec.Wiped.Has(m.Primary):
		return unfitting("bucket %s was lost on backend %s and is not filled again yet", name, m.Primary)
	}
	return nil
}

// SetAck sets what must hold before a write to a bucket is answered; nil brings the
// configuration's rule back. Writes that are under way keep the rule that they began
// with; whatever begins after SetAck has returned knows the new one. No other rule of
// the protocol rests on it. It is refused when nothing could be written under it.
//
// ErrUnfitting, NoSuchBucket, SlowDown.
func (s *Set) SetAck(ctx context.Context, bucket string, rule *Rule) error {
	b, err := s.buckets.lookup(ctx, bucket)
	if err != nil {
		return err
	}
	ctx, cancel := s.steady(ctx)
	defer cancel()
	var refusal error
	err = b.amend(ctx, func(rec *record) {
		if refusal = s.writableUnder(bucket, rec, rule); refusal == nil {
			rec.Ack = rule
		}
	})
	switch {
	case refusal != nil:
		return refusal
	case err != nil:
		return unavailable(err)
	}
	s.o.Logger.InfoContext(ctx, "ack rule of a bucket was set", "bucket", bucket, "rule", b.config().Ack)
	return nil
}

// SetAssumeEqual says whether the operator vouches that replicas of a bucket that were not
// met yet, and are not empty, hold the same objects; what the configuration says of it
// stays as it is. A replica that was refused for that is looked at anew, and serves if it
// is. One that is known already is not concerned: see resync.
//
// NoSuchBucket, SlowDown.
func (s *Set) SetAssumeEqual(ctx context.Context, bucket string, equal bool) error {
	b, err := s.buckets.lookup(ctx, bucket)
	if err != nil {
		return err
	}
	ctx, cancel := s.steady(ctx)
	defer cancel()
	if err := b.amend(ctx, func(rec *record) { rec.Assume = equal }); err != nil {
		return unavailable(err)
	}
	s.o.Logger.InfoContext(ctx, "replicas of a bucket are taken for equal at the first contact, or not", "bucket", bucket, "equal", equal)
	return nil
}

// writableUnder tells whether a bucket could be written to under an ack rule.
func (s *Set) writableUnder(name string, rec *record, rule *Rule) error {
	next := *rec
	next.Ack = rule
	cfg := commit.Config{Replicas: rec.Replicas, Ack: next.ack(s.buckets.policy(name)), Mode: s.settings.modeOf(rec)}
	if cfg.Ack.Need < 1 || !cfg.Ack.Met(rec.Replicas) {
		return unfitting("bucket %s is on %s: no write could have %d of them, or those to be included are not among them", name, strings.Join(rec.Replicas, ", "), cfg.Ack.Need)
	}
	var paused object.Replicas
	for name := range s.Pauses() {
		paused = paused.With(name)
	}
	if !cfg.AckRule().Met(cfg.Targets().Minus(paused)) {
		return unfitting("bucket %s could not be written to without %s, which is paused: the rule needs %s", name, strings.Join(paused, " and "), needs(cfg))
	}
	return nil
}

// Pause stops asking a backend for anything, on every node, until Resume or, when
// until is not zero, until then; it survives a restart. What is under way ends. What
// the backend misses is logged, as when it is away. Pausing it again moves the end.
// It is refused when a bucket could not be written to without it.
//
// ErrUnknownBackend, ErrUnfitting, SlowDown.
func (s *Set) Pause(ctx context.Context, name string, until time.Time) error {
	if s.stack(name) == nil {
		return fmt.Errorf("%w: %q", ErrUnknownBackend, name)
	}
	now := s.o.Wall()
	if !until.IsZero() && !until.After(now) {
		return unfitting("the pause of backend %s would have ended before it began", name)
	}
	err := s.settings.change(ctx, func(rec *settingsRecord) error {
		paused := object.NewReplicas(name)
		for n, p := range rec.Paused {
			if p.lasts(now) {
				paused = paused.With(n)
			}
		}
		if err := s.writable(ctx, paused); err != nil {
			return err
		}
		p := rec.Paused[name]
		if _, is := rec.Paused[name]; !is || !p.lasts(now) {
			p.Since = now.UTC()
		}
		p.Until = until.UTC()
		if until.IsZero() {
			p.Until = time.Time{}
		}
		rec.Paused = withEntry(rec.Paused, name, p)
		return nil
	})
	if err == nil {
		s.o.Logger.InfoContext(ctx, "backend was paused", "backend", name, "until", until)
	}
	return err
}

// writable tells whether every bucket can be written to while backends are paused.
func (s *Set) writable(ctx context.Context, paused object.Replicas) error {
	var first error
	check := func(what string, cfg commit.Config) {
		if first == nil && !cfg.AckRule().Met(cfg.Targets().Minus(paused)) {
			first = unfitting("%s could not be written to without %s: its ack rule needs %s", what, strings.Join(paused, " and "), needs(cfg))
		}
	}
	check("a new bucket", commit.Config{Replicas: s.o.Defaults.Replicas, Ack: s.o.Defaults.Ack, Mode: s.settings.mode()})
	err := s.records(ctx, func(name string, rec *record) {
		check("bucket "+name, commit.Config{Replicas: rec.Replicas, Ack: rec.ack(s.buckets.policy(name)), Mode: s.settings.modeOf(rec)})
	})
	if err != nil {
		return err
	}
	return first
}

// needs says what an ack rule asks for.
func needs(cfg commit.Config) string {
	rule := cfg.AckRule()
	text := fmt.Sprintf("%d of %s", rule.Need, strings.Join(cfg.Targets(), ", "))
	if len(rule.Include) > 0 {
		text += ", " + strings.Join(rule.Include, " and ") + " among them"
	}
	return text
}

// Resume ends a pause; that there is none is no error. The backend is looked at
// again before it is used, and what it missed is healed. ErrUnknownBackend, SlowDown.
func (s *Set) Resume(ctx context.Context, name string) error {
	if s.stack(name) == nil {
		return fmt.Errorf("%w: %q", ErrUnknownBackend, name)
	}
	err := s.settings.change(ctx, func(rec *settingsRecord) error { delete(rec.Paused, name); return nil })
	if err == nil {
		s.o.Logger.InfoContext(ctx, "backend was resumed", "backend", name)
	}
	return err
}

// Pauses are the backends that are paused now.
func (s *Set) Pauses() map[string]Pause {
	out := maps.Clone(s.settings.now.Load().Paused)
	maps.DeleteFunc(out, func(_ string, p Pause) bool { return !p.lasts(s.o.Wall()) })
	return out
}

// SetPace limits what heals may take of a backend, or of all when name is empty, at
// once and on every node; nil brings the configuration's limits back.
// ErrUnknownBackend, SlowDown.
func (s *Set) SetPace(ctx context.Context, name string, p *Pace) error {
	if name != "" && s.stack(name) == nil {
		return fmt.Errorf("%w: %q", ErrUnknownBackend, name)
	}
	err := s.settings.change(ctx, func(rec *settingsRecord) error {
		for _, n := range s.Names() {
			switch {
			case name != "" && n != name:
			case p == nil:
				delete(rec.Paces, n)
			default:
				rec.Paces = withEntry(rec.Paces, n, *p)
			}
		}
		return nil
	})
	if err == nil {
		s.o.Logger.InfoContext(ctx, "pace of heals was set", "backend", name, "pace", p)
	}
	return err
}

// Paces are the limits in force, by backend.
func (s *Set) Paces() map[string]Pace {
	rec, out := s.settings.now.Load(), map[string]Pace{}
	for name, seat := range s.roster.Load().seats {
		out[name] = seat.paceOf(rec)
	}
	return out
}

// withEntry adds to a map that may be nil.
func withEntry[V any](m map[string]V, name string, value V) map[string]V {
	if m == nil {
		m = map[string]V{}
	}
	m[name] = value
	return m
}
