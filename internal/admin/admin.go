package admin

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Authenticator knows who may use the API.
type Authenticator interface {
	// CheckBasic verifies the HTTP Basic credentials of a request, in time that
	// does not tell which part was wrong. ok is false without valid ones.
	CheckBasic(r *http.Request) (login string, ok bool)
}

// Options are the parts that a Handler stands on. Source, Auth, Log and
// Metrics are required.
type Options struct {
	Source  Source
	Auth    Authenticator
	Demo    Demo // nil but in `s3mirror demo`: its routes then answer 404
	Log     *slog.Logger
	Metrics *prometheus.Registry // what /metrics shows; the Handler adds its own
	Version Version
}

// Handler serves the admin API.
type Handler struct {
	Options
	metrics *metrics
	mux     *http.ServeMux
	chain   http.Handler
}

//go:embed openapi.yaml
var openAPI []byte

// route is one path of the API. Open routes answer without a login.
type route struct {
	method, path string
	open         bool
	act          func(h *Handler, w http.ResponseWriter, r *http.Request) error
}

// routes are all there are; openapi.yaml describes the same.
var routes = []route{
	{"GET", "/healthz", true, (*Handler).health},
	{"GET", "/readyz", true, (*Handler).ready},
	{"GET", "/version", true, (*Handler).version},
	{"GET", "/metrics", true, (*Handler).scrape},
	{"GET", "/api/v1/openapi.yaml", false, (*Handler).describe},
	{"GET", "/api/v1/status", false, (*Handler).status},
	{"GET", "/api/v1/backends", false, (*Handler).backends},
	{"GET", "/api/v1/replication/lag", false, (*Handler).lag},
	{"GET", "/api/v1/history", false, (*Handler).history},
	{"POST", "/api/v1/demo/backends/{name}/on", false, (*Handler).switchOn},
	{"POST", "/api/v1/demo/backends/{name}/off", false, (*Handler).switchOff},
}

const (
	maxBody     = 64 << 10 // bytes; no request of this API needs more
	actDeadline = 20 * time.Second
)

// New joins the parts. It starts nothing.
func New(o Options) *Handler {
	h := &Handler{Options: o, metrics: newMetrics(o.Metrics), mux: http.NewServeMux()}
	for _, rt := range routes {
		h.mux.Handle(rt.method+" "+rt.path, h.serve(rt))
	}
	h.mux.Handle("/", h.serve(route{path: "other", act: (*Handler).notFound}))

	// A browser keeps Basic credentials and sends them for any site that asks:
	// what another origin asks for must not change anything.
	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(h.serve(route{path: "other", open: true, act: func(*Handler, http.ResponseWriter, *http.Request) error {
		return problem(http.StatusForbidden, "cross-origin", "Cross-origin request", "another site asked for this")
	}}))
	h.chain = http.MaxBytesHandler(origin.Handler(h.mux), maxBody)
	return h
}

// ServeHTTP runs the chain: body limit, origin, then per route id, recover,
// authenticate, act, log.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.chain.ServeHTTP(w, r) }

// NewServer is an http.Server for the handler with every bound set: no client
// can hold a connection or fill memory by being slow or large.
func NewServer(h *Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(h.Log.Handler(), slog.LevelDebug),
	}
}

// serve wraps one route: the errors of act become a problem document here, and
// only here.
func (h *Handler) serve(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := newRequestID()
		header := w.Header()
		header.Set("X-Amz-Request-Id", id)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		header.Set("Cache-Control", "no-store")

		ctx, cancel := context.WithTimeout(r.Context(), actDeadline)
		defer cancel()
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		login, err := h.act(rt, rec, r.WithContext(ctx))
		if err != nil && !rec.wrote {
			p := asProblem(err)
			if p.Status == http.StatusUnauthorized {
				header.Set("WWW-Authenticate", `Basic realm="s3mirror", charset="UTF-8"`)
			}
			writeProblem(rec, p, id)
		}
		h.metrics.observe(rt.path, rec.status)
		h.record(r, rec.status, id, login, err)
	})
}

// act authenticates and acts. A panic is an error like any other, but for the
// one that net/http itself uses to cut a connection.
func (h *Handler) act(rt route, w http.ResponseWriter, r *http.Request) (login string, err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			err = &panicError{p, stack()}
		}
	}()
	if !rt.open {
		var ok bool
		if login, ok = h.Auth.CheckBasic(r); !ok {
			return "", problem(http.StatusUnauthorized, "unauthorized", "Login needed", "give the login and password of root by HTTP Basic")
		}
	}
	return login, rt.act(h, w, r)
}

// record writes the log line of a request: what changed something or went wrong
// is for everyone, the rest for those who debug.
func (h *Handler) record(r *http.Request, status int, id, login string, err error) {
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
		slog.String("request_id", id), slog.String("remote", r.RemoteAddr),
	}
	if login != "" {
		attrs = append(attrs, slog.String("login", login))
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

// notFound answers what no route takes: another method of a known path, or an
// unknown path.
func (h *Handler) notFound(w http.ResponseWriter, r *http.Request) error {
	var allow []string
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		other := *r
		other.Method = method
		if _, pattern := h.mux.Handler(&other); pattern != "/" {
			allow = append(allow, method)
		}
	}
	if len(allow) == 0 || slices.Contains(allow, r.Method) {
		return problem(http.StatusNotFound, "not-found", "There is nothing here", "/api/v1/openapi.yaml describes what is")
	}
	w.Header().Set("Allow", strings.Join(allow, ", "))
	return problem(http.StatusMethodNotAllowed, "method-not-allowed", "This path does not take that method", "it takes %s", strings.Join(allow, ", "))
}

// writeJSON answers with a document.
func writeJSON(w http.ResponseWriter, document any) error {
	body, err := json.Marshal(document)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n')) // the client went away: nobody is left to tell
	return nil
}

func (h *Handler) scrape(w http.ResponseWriter, r *http.Request) error {
	promhttp.HandlerFor(h.Metrics, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(h.Log.Handler(), slog.LevelError)}).ServeHTTP(w, r)
	return nil
}
