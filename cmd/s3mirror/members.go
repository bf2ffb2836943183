package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/probe"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// addedBackend is the document of a backend that was added while nodes ran
// (docs/decisions/0043): what a configuration would say of it, its secret sealed.
type addedBackend struct {
	Endpoint     string `json:"endpoint"`
	Region       string `json:"region"`
	AccessKeyID  string `json:"access_key_id"`
	Sealed       []byte `json:"sealed_secret"`
	VirtualHost  bool   `json:"virtual_host,omitempty"`
	CA           string `json:"ca,omitempty"` // PEM; empty: the system's
	PayloadMode  string `json:"payload_mode"`
	StorageClass string `json:"storage_class,omitempty"`
}

// secretUse is what the secret of a backend is sealed for.
func secretUse(name string) string { return "secret access key of backend " + name }

// way is a backend's document with its secret in the clear. Two that are equal lead to
// the same place in the same way.
type way struct {
	addedBackend
	secret sigv4.Secret
}

// same tells whether two ways are equal, however their secret was sealed.
func (w way) same(v way) bool {
	w.Sealed, v.Sealed = nil, nil
	return w.Endpoint == v.Endpoint && w.Region == v.Region && w.AccessKeyID == v.AccessKeyID && w.secret == v.secret &&
		w.VirtualHost == v.VirtualHost && w.CA == v.CA && w.PayloadMode == v.PayloadMode && w.StorageClass == v.StorageClass
}

// openWay reads a document.
func openWay(vault *auth.Vault, name string, doc json.RawMessage) (w way, err error) {
	if err := json.Unmarshal(doc, &w.addedBackend); err != nil {
		return w, fmt.Errorf("document of backend %s: %w", name, err)
	}
	secret, err := vault.Open(secretUse(name), w.Sealed)
	if err != nil {
		return w, fmt.Errorf("secret of backend %s: %w", name, err)
	}
	w.secret = sigv4.Secret(secret)
	return w, nil
}

// seal is the document.
func (w way) seal(vault *auth.Vault, name string) (json.RawMessage, error) {
	w.Sealed = vault.Seal(secretUse(name), []byte(w.secret))
	return json.Marshal(w.addedBackend)
}

// options check the way, and say everything that is wrong with it.
func (w way) options(name string, stamps object.StampKey) (o backend.Options, err error) {
	pathStyle := !w.VirtualHost
	var wrong []error
	bad := func(path, format string, args ...any) {
		wrong = append(wrong, fmt.Errorf("%s: %s", strings.TrimPrefix(path, "backend."), fmt.Sprintf(format, args...)))
	}
	if !backendName.MatchString(name) {
		bad("name", "%q is not a name: 1 to 32 of a-z, 0-9, -, _, ., beginning with a letter or digit", name)
	}
	validateEndpoint("backend", w.Endpoint, bad)
	validateAccess("backend", BackendConfig{
		AccessKeyID: w.AccessKeyID, SecretAccessKey: w.secret, PathStyle: &pathStyle, PayloadMode: w.PayloadMode, StorageClass: w.StorageClass,
	}, bad)
	var roots *x509.CertPool
	if w.CA != "" {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(w.CA)) {
			bad("ca", "holds no certificate in PEM form")
		}
	}
	if len(wrong) > 0 {
		return o, &admin.WrongBackend{Err: errors.Join(wrong...)}
	}
	endpoint, err := url.Parse(w.Endpoint)
	if err != nil {
		return o, &admin.WrongBackend{Err: err}
	}
	return backend.Options{
		Name: name, Endpoint: endpoint, Region: w.Region, AccessKeyID: w.AccessKeyID, SecretAccessKey: w.secret,
		StampKey: stamps, VirtualHost: w.VirtualHost, StorageClass: w.StorageClass, RootCAs: roots,
	}, nil
}

// addition is a backend that was added, as this node has it.
type addition struct {
	built
	way way
}

// enroller is a replica.Enroller. A document that says what the one before said, in
// another sealing, leaves the stack as it is.
func enroller(p parts) replica.Enroller {
	stamps := object.NewStampKey(p.secrets.stamps)
	return func(name string, doc json.RawMessage) (*backend.Stack, error) {
		w, err := openWay(p.vault, name, doc)
		if err != nil {
			return nil, err
		}
		return p.backends.enrol(name, w, stamps)
	}
}

func (b *backends) enrol(name string, w way, stamps object.StampKey) (*backend.Stack, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was, replaced := b.added[name]
	if replaced && was.way.same(w) {
		return was.stack, nil
	}
	o, err := w.options(name, stamps)
	if err != nil {
		return nil, err
	}
	one, err := b.build(o)
	if err != nil {
		return nil, err
	}
	if replaced {
		b.left = append(b.left, was.built)
	}
	b.added[name] = addition{one, w}
	b.places.set(name, spoken{options: o, mode: w.PayloadMode, added: true})
	b.nudge()
	return one.stack, nil
}

// dismiss is told of a stack that nothing new is asked of.
func (b *backends) dismiss(stack *backend.Stack) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.nudge()
	if now, ok := b.added[stack.Name()]; ok && now.stack == stack { // it was not replaced
		b.left = append(b.left, now.built)
		delete(b.added, stack.Name())
		b.places.drop(stack.Name())
		b.metrics.Forget(stack.Name())
	}
}

func (b *backends) nudge() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// living are all that may be asked.
func (b *backends) living() []built {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := slices.Clone(b.first)
	for _, a := range b.added {
		all = append(all, a.built)
	}
	return all
}

// run keeps the breaker of each backend going, until ctx ends. It returns nil.
func (b *backends) run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	running := map[*backend.Stack]context.CancelFunc{}
	for {
		want := map[*backend.Stack]bool{}
		for i, one := range b.living() {
			want[one.stack] = true
			if running[one.stack] != nil {
				continue
			}
			loop, stop := context.WithCancel(ctx)
			running[one.stack] = stop
			wg.Go(func() {
				defer stop()
				if i >= len(b.first) {
					b.greetOne(loop, one)
				}
				_ = one.stack.Breaker.Run(loop) // nil when loop ends
			})
		}
		for stack, stop := range running {
			if !want[stack] {
				stop()
				delete(running, stack)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-b.changed:
		}
	}
}

// membership adds, changes and removes backends while nodes run. It implements
// admin.Backends.
type membership struct {
	set    *replica.Set
	vault  *auth.Vault
	stamps object.StampKey
	places *places
	keep   func(ctx context.Context, name string, rep probe.Report) error
	probe  func(ctx context.Context, o backend.Options, bucket string) (probe.Report, error)
	logger *slog.Logger
}

// probeTimeout bounds the probes of a backend before it is taken in.
const probeTimeout = 2 * time.Minute

// aloneBriefly are the probes of a backend that no bucket is on yet.
func aloneBriefly(ctx context.Context, o backend.Options, bucket string) (probe.Report, error) {
	return probe.Alone(ctx, o, bucket, probe.Brief())
}

// Add implements admin.Backends.
func (m *membership) Add(ctx context.Context, n api.NewBackend) error {
	w := way{secret: sigv4.Secret(n.SecretAccessKey), addedBackend: addedBackend{
		Endpoint: n.Endpoint, Region: n.Region, AccessKeyID: n.AccessKeyID, VirtualHost: n.PathStyle != nil && !*n.PathStyle,
		CA: n.Ca, PayloadMode: n.PayloadMode, StorageClass: n.StorageClass,
	}}
	w.Region, w.PayloadMode = cmp.Or(w.Region, "us-east-1"), cmp.Or(w.PayloadMode, payloadAuto)
	if one, ok := m.places.get(n.Name); ok && one.added {
		return replica.ErrBackendExists
	} else if ok {
		return replica.ErrOfFile
	}
	if err := m.try(ctx, n.Name, w, n.Bucket); err != nil {
		return err
	}
	defer m.vault.Storing()()
	doc, err := w.seal(m.vault, n.Name)
	if err != nil {
		return err
	}
	return m.set.AddBackend(ctx, n.Name, doc)
}

// Change implements admin.Backends.
func (m *membership) Change(ctx context.Context, name string, c api.BackendChange) error {
	before, err := m.wayOf(name)
	if err != nil {
		return err
	}
	w := before
	for to, value := range map[*string]*string{
		&w.Endpoint: c.Endpoint, &w.Region: c.Region, &w.AccessKeyID: c.AccessKeyID, (*string)(&w.secret): c.SecretAccessKey,
		&w.CA: c.Ca, &w.PayloadMode: c.PayloadMode, &w.StorageClass: c.StorageClass,
	} {
		if value != nil {
			*to = *value
		}
	}
	if c.PathStyle != nil {
		w.VirtualHost = !*c.PathStyle
	}
	if w.same(before) {
		return nil
	}
	bucket := c.Bucket
	if bucket == "" {
		if bucket, err = m.set.PlaceOn(ctx, name); err != nil {
			return err
		}
	}
	if err := m.try(ctx, name, w, bucket); err != nil {
		return err
	}
	defer m.vault.Storing()()
	return m.set.ChangeBackend(ctx, name, func(doc json.RawMessage) (json.RawMessage, error) {
		now, err := openWay(m.vault, name, doc)
		switch {
		case err != nil:
			return nil, err
		case now.same(w): // by a try whose outcome was not known
			return doc, nil
		case !now.same(before):
			return nil, errChangedMeanwhile
		}
		return w.seal(m.vault, name)
	})
}

// errChangedMeanwhile: what was probed is not what would stand.
var errChangedMeanwhile = auth.ErrConflict

// wayOf is how an added backend is spoken to now.
func (m *membership) wayOf(name string) (way, error) {
	one, ok := m.places.get(name)
	doc, added := m.set.AddedBackends()[name]
	switch {
	case ok && !one.added:
		return way{}, replica.ErrOfFile
	case !added:
		return way{}, replica.ErrUnknownBackend
	}
	return openWay(m.vault, name, doc)
}

// try makes sure of a backend before anything is written of it: nobody else is in that
// place, it may hold replicas, and the buckets that are on it stand there.
func (m *membership) try(ctx context.Context, name string, w way, bucket string) error {
	o, err := w.options(name, m.stamps)
	if err != nil {
		return err
	}
	if other := m.places.inPlaceOf(name, o); other != "" {
		return &admin.WrongBackend{Err: fmt.Errorf("endpoint: is that of backend %s too, with the same access key: two replicas in one place are one copy", other)}
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	remote, err := backend.NewRemote(o)
	if err != nil {
		return &admin.WrongBackend{Err: err}
	}
	defer func() { _ = remote.Close() }() // idle connections have nothing to say
	if err := m.set.SameStore(ctx, name, remote); err != nil {
		return err
	}
	rep, err := m.probe(ctx, o, bucket)
	switch {
	case errors.Is(err, probe.ErrLeft):
		m.logger.WarnContext(ctx, "something of the probes of a backend could not be removed", "backend", name, "error", err)
	case err != nil:
		m.logger.WarnContext(ctx, "backend could not be probed", "backend", name, "error", err)
		return fmt.Errorf("%w: %s", admin.ErrBackendAway, advice(err))
	}
	_, err = judge(name, w.PayloadMode, rep)
	var unfit *replica.Unfit
	switch {
	case errors.As(err, &unfit):
		refused := *newProbe(rep)
		if len(refused.Reasons) == 0 { // what the mode rests on, not the report's own verdict
			refused.Reasons = []string{unfit.Reason}
		}
		return &admin.RefusedBackend{Probe: refused}
	case err != nil:
		return fmt.Errorf("%w: %w", admin.ErrBackendAway, err)
	}
	if rep.Whole() {
		if err := m.keep(ctx, name, rep); err != nil {
			m.logger.WarnContext(ctx, "report on a backend could not be kept", "backend", name, "error", err)
		}
	}
	return nil
}

// Remove implements admin.Backends.
func (m *membership) Remove(ctx context.Context, name string) error {
	return m.set.RemoveBackend(ctx, name)
}

// reseal seals the secrets anew that an earlier key of the deployment sealed, and tells how
// many.
func (m *membership) reseal(ctx context.Context) (changed int, err error) {
	for name, doc := range m.set.AddedBackends() {
		var stored addedBackend
		if err := json.Unmarshal(doc, &stored); err != nil {
			return changed, fmt.Errorf("document of backend %s: %w", name, err)
		}
		if m.vault.Sealed(stored.Sealed) {
			continue
		}
		err := m.set.ChangeBackend(ctx, name, func(doc json.RawMessage) (json.RawMessage, error) {
			w, err := openWay(m.vault, name, doc)
			if err != nil {
				return nil, err
			}
			return w.seal(m.vault, name)
		})
		switch {
		case errors.Is(err, replica.ErrUnknownBackend): // removed meanwhile
		case err != nil:
			return changed, fmt.Errorf("seal the secret of backend %s anew: %w", name, err)
		default:
			changed++
		}
	}
	return changed, nil
}
