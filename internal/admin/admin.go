package admin

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/object"
)

// Options are the parts that a Handler stands on. Feed, Audit, Demo, Backup and
// Client may be left out; without Jobs nothing comes of them in /events.
type Options struct {
	Source   Source
	Replicas Replicas // what is under management
	S3       S3       // what callers may do with it, and have done
	Healer   Healer   // how it fares

	Replication Replication // what is set of it
	Jobs        Jobs        // long work
	Backends    Backends    // adds and removes backends; nil: nothing does

	Logins   *auth.Logins   // who asks
	Accounts *auth.Accounts // whom there is
	Audit    auth.Auditor   // is told of every refusal and change; nil: nobody is
	Feed     *Feed          // what is audited, for /events; nil: nothing comes there
	Demo     Demo           // nil but in `s3mirror demo`: its routes then answer 404

	// SecretKey changes the deployment's; nil: nothing does.
	SecretKey SecretKey

	// S3URL is where clients reach S3, for links; without a host name they reach it by
	// the name by which they reach this API.
	S3URL url.URL

	// Backup writes a copy of the log as it stands; nil: ErrNoBackup. ErrBackupBusy.
	Backup func(ctx context.Context, w io.Writer) error

	// Client tells where a request comes from, as far as proxies can be trusted;
	// nil: from whoever connected.
	Client func(*http.Request) netip.Addr

	Log     *slog.Logger
	Metrics *prometheus.Registry // what /metrics shows; the Handler adds its own
	Version Version
}

// Handler serves the admin API.
type Handler struct {
	Options
	metrics    *metrics
	operations map[string]operation // by the mux's pattern
	mux        *http.ServeMux
	chain      http.Handler
}

const (
	maxBody        = 64 << 10 // bytes; no request of this API needs more but a patient one
	maxPatientBody = 2 << 20  // bytes: 10,000 parts with their ETags
	actDeadline    = 20 * time.Second
	writeTimeout   = 60 * time.Second // of the connection: no answer takes longer
)

// New joins the parts. It starts nothing.
func New(o Options) *Handler {
	ops, err := operations()
	if err != nil {
		panic(err) // the description is part of the program
	}
	h := &Handler{Options: o, metrics: newMetrics(o.Metrics, ops), operations: ops, mux: http.NewServeMux()}
	if h.Client == nil {
		h.Client = peer
	}
	if h.Feed == nil {
		h.Feed = NewFeed()
	}
	h.mux.Handle("GET /metrics", promhttp.HandlerFor(h.Metrics, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(h.Log.Handler(), slog.LevelError)}))
	h.mux.HandleFunc("GET /api/v1/openapi.yaml", describe)
	// What the generated code has to say against a request becomes the error of
	// its call.
	failed := func(_ http.ResponseWriter, r *http.Request, err error) { callOf(r.Context()).err = err }
	api.HandlerWithOptions(
		api.NewStrictHandlerWithOptions(face{h}, nil, api.StrictHTTPServerOptions{RequestErrorHandlerFunc: badBody(failed), ResponseErrorHandlerFunc: failed}),
		api.StdHTTPServerOptions{BaseRouter: h.mux, ErrorHandlerFunc: badParameter(failed)},
	)

	// A browser keeps Basic credentials and sends them for any site that asks:
	// what another origin asks for must not change anything.
	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(h.serve(func(*call, http.ResponseWriter, *http.Request) error {
		return problem(http.StatusForbidden, "cross-origin", "Cross-origin request", "another site asked for this")
	}))
	h.chain = origin.Handler(h.serve(h.act))
	return h
}

func peer(r *http.Request) netip.Addr {
	p, _ := netip.ParseAddrPort(r.RemoteAddr) // a test's, or a socket without addresses
	return p.Addr().Unmap()
}

// ServeHTTP runs the chain: origin, id, limits, recover, authenticate, role,
// parameters, act, log, audit.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.chain.ServeHTTP(w, withKeyInOneSegment(r))
}

// NewServer is an http.Server for the handler with every bound set: no client
// can hold a connection or fill memory by being slow or large. What streams sets
// its own, which move with its progress.
// Its Shutdown ends the streams of events, which would not end by themselves.
func NewServer(h *Handler) *http.Server {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(h.Log.Handler(), slog.LevelDebug),
	}
	s.RegisterOnShutdown(h.Feed.Close)
	return s
}

// call is one request, and what is known of it so far. It is owned by the
// goroutine of the request.
type call struct {
	id      string
	client  netip.Addr
	op      operation     // zero: none
	who     auth.Identity // zero: not proved, or nobody asked for proof
	claimed string        // the login that was given without proof
	token   string        // the bearer token that the request brings, proved or not
	target  string        // the user, or the key of one, that it is about
	object  object.Key    // the bucket, or the object, that it is about
	detail  string        // what was changed
	w       http.ResponseWriter
	r       *http.Request
	cookie  string // that a refusal sets
	secure  bool   // the browser came by HTTPS
	err     error  // of the act
}

type callKey struct{}

// callOf finds the request's call in the context that its act is given: the
// generated code between the two passes nothing else on.
func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

// serve wraps an act: its error becomes a problem document here, and only here.
func (h *Handler) serve(act func(*call, http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{id: newRequestID(), client: h.Client(r), secure: overTLS(r)}
		_, pattern := h.mux.Handler(r)
		c.op = h.operations[pattern]
		header := w.Header()
		header.Set("X-Amz-Request-Id", c.id)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		header.Set("Cache-Control", "no-store")

		deadline := actDeadline
		if isProfile(r) {
			deadline = writeTimeout
		}
		ctx, cancel := context.WithCancel(context.WithValue(r.Context(), callKey{}, c))
		defer cancel()
		switch {
		case c.op.streams:
			unbounded(w)
		case c.op.patient:
			r.Body = http.MaxBytesReader(w, r.Body, maxPatientBody)
		default:
			var stop context.CancelFunc
			ctx, stop = context.WithTimeout(ctx, deadline)
			defer stop()
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		}
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		err := recovered(func() error { return act(c, rec, r.WithContext(ctx)) })
		rec.begun = rec.wrote
		if err != nil && !rec.begun {
			h.refuse(rec, r, c, err)
		}
		h.metrics.observe(cmp.Or(c.op.path, other), rec.status)
		h.record(r, c, rec.status, err)
		h.audit(r, c, rec.status, err)
		if err != nil && rec.begun {
			panic(http.ErrAbortHandler) // net/http's way to cut a connection
		}
	})
}

// unbounded takes the deadlines from a connection that NewServer gave it.
func unbounded(w http.ResponseWriter) {
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Time{}) // not supported: a test's writer
	_ = conn.SetWriteDeadline(time.Time{})
}

// refuse answers with an error.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, c *call, err error) {
	p := asProblem(err)
	switch {
	case p.Status != http.StatusUnauthorized:
	case isBearer(r):
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	case r.Header.Get(guard) != "": // the console, which asks for a password itself
		w.Header().Set("WWW-Authenticate", `Bearer realm="s3mirror"`)
	default: // a browser asks for a password then
		w.Header().Set("WWW-Authenticate", `Basic realm="s3mirror", charset="UTF-8"`)
	}
	if c.cookie != "" {
		w.Header().Set("Set-Cookie", c.cookie)
	}
	writeProblem(w, p, c.id)
}

// recovered turns a panic into an error like any other, but for the one that
// net/http itself uses to cut a connection.
func recovered(act func() error) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			err = &panicError{p, stack()}
		}
	}()
	return act()
}

// act finds the operation, proves the caller if it wants that, and does it.
func (h *Handler) act(c *call, w http.ResponseWriter, r *http.Request) error {
	if isProfile(r) {
		return h.profile(c, w, r)
	}
	op := c.op
	if op.id == "" {
		if err := h.admit(c, r, auth.RoleUser); err != nil { // what there is, is told to those who may ask
			return err
		}
		return h.notFound(w, r)
	}
	if isBearer(r) {
		_, c.token, _ = strings.Cut(r.Header.Get("Authorization"), " ")
	}
	c.target = short(op.value(r, "login"))
	if op.object {
		c.object = object.Key{Bucket: op.value(r, "bucket"), Name: op.value(r, "key")}
	}
	if op.role != "" {
		if err := h.admit(c, r, op.role); err != nil {
			return err
		}
	}
	if err := op.checkQuery(r); err != nil {
		return err
	}
	if err := op.checkBody(r); err != nil {
		return err
	}
	if op.patient { // its document has been read in time
		unbounded(w)
	}
	c.w, c.r = w, r
	h.mux.ServeHTTP(w, r)
	return c.err
}

// admit proves the caller and wants a role of him.
func (h *Handler) admit(c *call, r *http.Request, role auth.Role) error {
	who, err := h.authenticate(r, c.client)
	if login, _, ok := r.BasicAuth(); ok && err != nil {
		c.claimed = short(login)
	}
	if err != nil {
		return err
	}
	c.who = who
	if err := auth.Enter(who.User, c.client); err != nil {
		return err
	}
	if role == auth.RoleAdmin && who.User.Role != auth.RoleAdmin {
		return forbidden("this needs the role admin")
	}
	return nil
}

// short is what is kept of a name that a client may make as long as it likes.
func short(s string) string { return s[:min(len(s), 100)] }

// authenticate proves who asks, by the one proof that he gives.
func (h *Handler) authenticate(r *http.Request, client netip.Addr) (auth.Identity, error) {
	values := r.Header.Values("Authorization")
	switch {
	case len(values) == 0:
		return auth.Identity{}, problem(http.StatusUnauthorized, "unauthorized", "Login needed", "give an access token, or login and password by HTTP Basic")
	case len(values) > 1:
		return auth.Identity{}, problem(http.StatusBadRequest, "unauthorized", "Two proofs", "give one Authorization header")
	case isBearer(r):
		_, token, _ := strings.Cut(values[0], " ")
		return h.Logins.Bearer(r.Context(), token)
	}
	return h.Logins.Basic(r, client)
}

func isBearer(r *http.Request) bool {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Bearer")
}

// record writes the log line of a request: what changed something or went wrong
// is for everyone, the rest for those who debug.
func (h *Handler) record(r *http.Request, c *call, status int, err error) {
	level := slog.LevelDebug
	switch {
	case status >= 500 && status != http.StatusServiceUnavailable:
		level = slog.LevelError
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		level = slog.LevelWarn
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		level = slog.LevelInfo
	}
	attrs := []slog.Attr{
		slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", status),
		slog.String("request_id", c.id), slog.String("client", c.client.String()), slog.String("remote", r.RemoteAddr),
	}
	if c.who.Login != "" {
		attrs = append(attrs, slog.String("login", c.who.Login))
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
		var p *Problem
		if errors.As(err, &p) && p.cause != nil {
			attrs = append(attrs, slog.Any("cause", p.cause))
		}
	}
	h.Log.LogAttrs(r.Context(), level, "admin request", attrs...)
}

// audit tells of refusals and of changes.
func (h *Handler) audit(r *http.Request, c *call, status int, err error) {
	e := auth.Entry{
		Act: cmp.Or(c.op.id, other), Actor: c.who.Login, Claimed: c.claimed, Client: c.client, Target: c.target, Detail: c.detail, Request: c.id,
		Bucket: short(c.object.Bucket), Key: c.object.Name,
	}
	switch {
	case h.Audit == nil:
		return
	case slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests}, status):
		e.Refused = reasonOf(err)
	case status/100 != 2 || r.Method == http.MethodGet || r.Method == http.MethodHead || c.op.id == "validatePost" || !c.op.audited:
		return
	case c.op.id == "renewSession" && status == http.StatusNoContent: // nothing was asked for
		return
	}
	h.Audit.Note(r.Context(), e)
}

// panicError is a broken invariant of ours, with where it broke.
type panicError struct {
	value any
	stack string
}

func (p *panicError) Error() string { return "panic: " + p.stack }

func (p *panicError) LogValue() slog.Value {
	return slog.GroupValue(slog.Any("panic", p.value), slog.String("stack", p.stack))
}

func stack() string {
	buf := make([]byte, 8<<10)
	return string(buf[:runtime.Stack(buf, false)])
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	wrote  bool
	begun  bool // the act itself wrote
}

func (r *recorder) WriteHeader(status int) {
	if !r.wrote {
		r.status, r.wrote = status, true
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	r.wrote = true
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController through.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// newRequestID is 16 random hex digits in the form that S3 uses.
func newRequestID() string {
	var b [8]byte
	rand.Read(b[:])
	return strings.ToUpper(hex.EncodeToString(b[:]))
}

// notFound answers what no operation takes: another method of a known path, or
// an unknown path.
func (h *Handler) notFound(w http.ResponseWriter, r *http.Request) error {
	var allow []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		o := *r
		o.Method = method
		if _, pattern := h.mux.Handler(&o); slices.Contains(slices.Collect(maps.Keys(h.operations)), pattern) {
			allow = append(allow, method)
		}
	}
	if len(allow) == 0 || slices.Contains(allow, r.Method) {
		return problem(http.StatusNotFound, "not-found", "There is nothing here", "/api/v1/openapi.yaml describes what is")
	}
	w.Header().Set("Allow", strings.Join(allow, ", "))
	return problem(http.StatusMethodNotAllowed, "method-not-allowed", "This path does not take that method", "it takes %s", strings.Join(allow, ", "))
}

func describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(api.Description) // the client went away: nobody is left to tell
}
