package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/document"
	"github.com/s3mirror/s3mirror/internal/gateway"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/web"
)

// The server, in the order in which it is put together (1 to 8). What stands
// further right or below knows nothing of what stands left or above.
//
//	                           ┌─────────── engine 5 ───────────┐
//	clients ─ S3 listener 7 ─▶ │ gateway ─▶ replica ─▶ backends 4 ── eu-1, eu-2, ...
//	                           │    │          │  ▲             │
//	                           │    │          │  └─ heal       │
//	operator ─ admin 6,8 ─────▶│    │          │                │
//	                           └────┼──────────┼────────────────┘
//	                        secrets, users 3 ─▶ log 1 ── node name 2
//
// It ends in the reverse order, in shutdown: not ready, stop accepting, finish requests,
// drain the writes that outlive their requests, stop the healer and the other
// loops, stop the admin listener, close the log, close the backends.

// serveOptions is what `serve` and `demo` decide differently.
type serveOptions struct {
	env     environ
	logger  *slog.Logger
	demo    admin.Demo                           // nil for serve
	migrate bool                                 // bring the schema of the log to this version's first
	rebuild bool                                 // make a log anew that was lost
	say     announcer                            // is told what was made up at the first start
	finish  time.Duration                        // how long requests under way may take at the end, and the drain again
	after   func(time.Duration) <-chan time.Time // nil: time.After
	started func(addresses)
	build   func(context.Context, parts) (*engine, error)
}

// addresses are where the listeners really are.
type addresses struct {
	S3, Admin string // URLs
}

func newServe(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Args:  noArgs,
	}
	file := configFlag(cmd)
	logging := loggingFlags(cmd)
	migrate := cmd.Flags().Bool("migrate", false, "first make or upgrade the log's schema in Cassandra, as `s3mirror migrate` does")
	again := cmd.Flags().Bool("rebuild", false, "first make a log anew that was lost, as `s3mirror rebuild` does")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		logger, flush, err := logging.open(std.err)
		if err != nil {
			return err
		}
		defer flush()
		cfg, err := mustConfig(*file, env)
		if err != nil {
			return err
		}
		return serve(cmd.Context(), cfg, serveOptions{
			env: env, logger: logger, migrate: *migrate, rebuild: *again, say: announceTo(std.err), finish: 30 * time.Second,
			started: func(a addresses) { logger.Info("serving", "s3", a.S3, "admin", a.Admin, "version", version()) },
			build:   openEngine,
		})
	}
	return cmd
}

// serve runs a node until ctx ends, then shuts it down in order and returns
// nil; an error says what could not be opened, or what failed on the way.
func serve(ctx context.Context, cfg *Config, o serveOptions) (err error) {
	defer allowGarbage()()
	if o.after == nil {
		o.after = time.After
	}
	n := &node{serveOptions: o, cfg: cfg, metrics: newRegistry()}
	defer func() { err = errors.Join(err, n.close()) }()
	for _, open := range []func(context.Context) error{
		n.openLog, n.checkLost, n.openTraces, n.openSecrets, n.openUsers, n.openBackends, n.openEngine, n.openListeners,
	} {
		if err := open(ctx); err != nil {
			return err
		}
	}
	return n.run(ctx)
}

// node is one running server. Its fields are set in the order of the drawing.
type node struct {
	serveOptions
	cfg     *Config
	metrics *prometheus.Registry

	folder    io.Closer // lock of the data folder, where the log has none of its own
	log       oplog.Log
	member    *replica.Member                   // who this node is where others share the log; nil: nobody does
	loops     []func(ctx context.Context) error // of the log
	name      string
	tracer    trace.Tracer // nil: nothing is traced
	endTraces func()
	secrets   *secrets
	passwords *auth.Passwords
	vault     *auth.Vault
	directory *auth.Directory
	accounts  *auth.Accounts
	logins    *auth.Logins
	rotation  *rotation
	audit     *audit
	backends  *backends
	engine    *engine

	s3Listener, adminListener net.Listener
	s3Server, adminServer     *http.Server
	closing                   atomic.Bool // shutdown has begun: not ready any more
}

// newRegistry holds the metrics of this node. Go's own begin with s3mirror_ too.
func newRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	prometheus.WrapRegistererWithPrefix("s3mirror_", reg).MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return reg
}

// openTraces prepares what sends traces, if anything does.
func (n *node) openTraces(ctx context.Context) (err error) {
	n.tracer, n.endTraces, err = openTraces(ctx, n.cfg.Traces, n.name, n.metrics, n.logger)
	return err
}

// openSecrets loads what makes the deployment itself (3).
func (n *node) openSecrets(ctx context.Context) error {
	n.passwords = auth.NewPasswords(passwordsAtOnce())
	var err error
	n.secrets, err = openSecrets(ctx, n.env, n.cfg.DataDir, n.log, n.passwords, n.say)
	return err
}

// passwordsAtOnce leaves most of the processor to the data path, however many
// want to log in.
func passwordsAtOnce() int { return max(1, runtime.GOMAXPROCS(0)/4) }

// openUsers joins what knows who may do what (3), and what keeps record of it.
func (n *node) openUsers(ctx context.Context) (err error) {
	n.vault = auth.NewVault(n.secrets.key, n.secrets.before...)
	n.directory = auth.NewDirectory(auth.DirectoryOptions{
		Store: document.NewStore(n.log), Vault: n.vault, Now: time.Now, Log: n.logger,
		Root: auth.Root(n.secrets.root.AccessKeyID, n.secrets.root.SecretAccessKey), RootPasswordHash: n.secrets.passwordHash,
	})
	n.accounts = auth.NewAccounts(n.directory, n.passwords)
	if n.logins, err = auth.NewLogins(ctx, n.directory, n.passwords, n.secrets.key); err != nil {
		return err
	}
	issuers, err := openIssuers(n.cfg)
	if err != nil {
		return err
	}
	n.logins.Trust(issuers...)
	n.rotation = &rotation{
		ring: n.secrets.keyring, file: n.secrets.file, shared: n.cfg.Log.Engine != enginePebble, log: n.log, logins: n.logins, logger: n.logger,
	}
	n.audit = newAudit(n.log, n.metrics, n.logger)
	return err
}

// openBackends builds the endpoints and asks each whether it is there (4).
func (n *node) openBackends(ctx context.Context) (err error) {
	stamps := object.NewStampKey(n.secrets.stamps)
	if n.backends, err = openBackends(n.cfg, stamps, backend.NewMetrics(n.metrics), n.tracer, n.logger); err != nil {
		return err
	}
	n.backends.greet(ctx)
	return nil
}

// openEngine joins what lies between the listeners and the backends (5).
func (n *node) openEngine(ctx context.Context) (err error) {
	verifier := auth.NewVerifier(n.directory, time.Now).WithBearers(n.logins)
	if n.cfg.S3.SignatureV2 {
		verifier = verifier.WithV2(n.cfg.S3.Domains)
	}
	n.engine, err = n.build(ctx, parts{
		cfg: n.cfg, node: n.name, member: n.member, log: n.log, verifier: verifier, logins: n.logins, audit: n.audit, secrets: n.secrets, backends: n.backends,
		vault: n.vault, metrics: n.metrics, tracer: n.tracer, logger: n.logger,
	})
	if err == nil && n.engine.backends != nil {
		n.rotation.reseals = append(n.rotation.reseals, n.engine.backends.reseal)
	}
	if err == nil {
		if err = n.rotation.resume(ctx); err != nil {
			err = fmt.Errorf("go on with a change of the secret key: %w", err)
		}
	}
	if err == nil && n.member != nil {
		n.directory.Outlast(n.engine.away)
		err = n.atHome(ctx) // again, now that others can see us: see export
	}
	return err
}

// openListeners takes both addresses (6, 7) and prepares the servers.
func (n *node) openListeners(ctx context.Context) (err error) {
	if n.s3Listener, err = listen(ctx, "s3.listen", n.cfg.S3.Listen); err != nil {
		return err
	}
	if n.adminListener, err = listen(ctx, "admin.listen", n.cfg.Admin.Listen); err != nil {
		return err
	}
	certificates := newCertificates(n.metrics, n.logger)
	secure, err := certificates.open("s3.tls", n.cfg.S3.TLS)
	if err != nil {
		return err
	}
	if n.cfg.S3.ProxyProtocol {
		n.s3Listener = gateway.ListenProxied(n.s3Listener, proxies(n.cfg.S3.TrustedProxies))
	}
	n.s3Listener = gateway.Listen(n.s3Listener, secure)
	if secure, err = certificates.open("admin.tls", n.cfg.Admin.TLS); err != nil {
		return err
	}
	if secure != nil {
		secure.NextProtos = []string{"http/1.1"}
		n.adminListener = tls.NewListener(n.adminListener, secure)
	}
	n.s3Server = n.engine.server
	n.adminServer = admin.NewServer(admin.New(admin.Options{
		Source: readiness{n.engine.source, &n.closing}, Replicas: n.engine.set, S3: n.engine.s3, Healer: n.engine.healer, Replication: n.engine.sets, Backends: n.engine.runtime(), Jobs: n.engine.jobs, Logins: n.logins, Accounts: n.accounts, Audit: n.audit, Feed: n.audit.feed, Demo: n.demo,
		Backup: n.backup(), SecretKey: n.rotation, S3URL: n.publicURL(), Client: proxies(n.cfg.S3.TrustedProxies).Client, Log: n.logger, Metrics: n.metrics,
		Version: admin.Version{Version: version(), Node: n.name, Go: runtime.Version(), Demo: n.demo != nil},
	}))
	n.adminServer.Handler = below(n.cfg.Admin.Path, web.Over(n.adminServer.Handler))
	return nil
}

// publicURL is where clients reach S3; without a host name it is the one by which they
// reach the admin API.
func (n *node) publicURL() url.URL {
	if text := n.cfg.S3.PublicURL; text != "" {
		if u, err := url.Parse(text); err == nil { // validate has seen to it
			return *u
		}
	}
	u := url.URL{Scheme: "http", Host: ":80"}
	if n.cfg.S3.TLS != nil {
		u.Scheme = "https"
	}
	if _, port, err := net.SplitHostPort(n.s3Listener.Addr().String()); err == nil {
		u.Host = ":" + port
	}
	return u
}

// below serves h at the root and below a path too.
func below(prefix string, h http.Handler) http.Handler {
	if prefix == "" {
		return h
	}
	under := http.StripPrefix(prefix, h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == prefix: // the console finds its files beside its page
			http.Redirect(w, r, prefix+"/", http.StatusPermanentRedirect)
		case strings.HasPrefix(r.URL.Path, prefix+"/"):
			under.ServeHTTP(w, r)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

func listen(ctx context.Context, key, address string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return l, nil
}

// errStopped is why the loops end when nothing failed.
var errStopped = errors.New("stopped")

// run serves (8) until ctx ends or a part fails, and shuts down.
func (n *node) run(ctx context.Context) error {
	// The loops and the servers do not end with ctx but when shutdown says so.
	loops, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	group, failed := errgroup.WithContext(loops)
	group.Go(func() error { return n.backends.run(failed) })
	group.Go(func() error { return n.engine.run(failed) })
	group.Go(func() error { return n.directory.Run(failed) })
	group.Go(func() error { return n.logins.Run(failed) })
	group.Go(func() error { return n.audit.run(failed) })
	for _, loop := range n.loops {
		group.Go(func() error { return loop(failed) })
	}
	group.Go(func() error {
		return expireHistory(failed, n.log, time.Duration(n.cfg.Log.History), n.engine.hold, n.logger)
	})

	servers := make(chan error, 2)
	var serving sync.WaitGroup
	serving.Go(func() { servers <- n.s3Server.Serve(n.s3Listener) })
	serving.Go(func() { servers <- n.adminServer.Serve(n.adminListener) })
	n.started(addresses{S3: urlOf(n.s3Listener, n.cfg.S3.TLS), Admin: urlOf(n.adminListener, n.cfg.Admin.TLS)})

	var cause error
	select {
	case <-ctx.Done():
	case <-failed.Done():
	case cause = <-servers:
	}
	n.shutdown(func() { stop(errStopped) }, group.Wait)
	serving.Wait()
	return errors.Join(cause, group.Wait())
}

func urlOf(l net.Listener, secure *TLSConfig) string {
	if secure != nil {
		return "https://" + reachable(l)
	}
	return "http://" + reachable(l)
}

// reachable is an address that a client on this host can use: the listener's,
// with loopback in the place of "every address".
func reachable(l net.Listener) string {
	host, port, err := net.SplitHostPort(l.Addr().String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return l.Addr().String()
}

// shutdown is the one place that knows the order of the end.
func (n *node) shutdown(stopLoops func(), loops func() error) {
	n.closing.Store(true)
	n.logger.Info("stopping")
	if delay := time.Duration(n.cfg.ShutdownDelay); delay > 0 {
		<-n.after(delay)
	}
	n.finishRequests(n.s3Server)

	ctx, cancel := context.WithTimeout(context.Background(), n.finish)
	if err := n.engine.drain(ctx); err != nil {
		n.logger.Warn("some writes were still under way at the end; the next start resolves them", "error", err)
	}
	cancel()

	stopLoops()
	_ = loops() // run returns its error
	n.finishRequests(n.adminServer)
}

// finishRequests lets the requests under way end in time, then cuts them off.
func (n *node) finishRequests(s *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), n.finish)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		n.logger.Warn("requests were cut off at the end", "error", err)
		_ = s.Close() // the listener is closed already; connections have nothing to say
	}
}

// close releases what was opened, in the reverse order, however far the start
// had come.
func (n *node) close() error {
	var errs []error
	for _, l := range []net.Listener{n.s3Listener, n.adminListener} {
		if l != nil {
			if err := l.Close(); !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	if n.engine != nil && !n.closing.Load() { // it never ran: its lease must not be waited for
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		errs = append(errs, n.engine.drain(ctx))
		cancel()
	}
	if n.endTraces != nil {
		n.endTraces()
	}
	if n.log != nil {
		errs = append(errs, n.log.Close())
	}
	if n.folder != nil {
		errs = append(errs, n.folder.Close())
	}
	if n.backends != nil {
		errs = append(errs, n.backends.close())
	}
	return errors.Join(errs...)
}

// readiness says "not ready" once the end has begun, so that a load balancer
// looks elsewhere while the last requests finish.
type readiness struct {
	admin.Source
	closing *atomic.Bool
}

func (r readiness) Ready(ctx context.Context) error {
	if r.closing.Load() {
		return errors.New("the server is stopping")
	}
	return r.Source.Ready(ctx)
}

const (
	// expireEvery is the pause between two looks at the age of the history.
	expireEvery = time.Hour
	// claimEvery is the pause of a node that does not have that share. It may come
	// with the first beats after a start, or when another node dies.
	claimEvery = time.Minute
)

// expireHistory drops the history that is too old, now and every hour, if that is this
// node's share. History is for people: when the log refuses, the next hour tries again.
func expireHistory(ctx context.Context, log oplog.History, keep time.Duration, hold func(string) (func(), bool), logger *slog.Logger) error {
	for {
		pause := claimEvery
		if done, mine := hold(replica.ShareHistory); mine {
			if err := log.Expire(ctx, time.Now().Add(-keep)); err != nil && ctx.Err() == nil {
				logger.WarnContext(ctx, "history could not be trimmed", "error", err)
			}
			done()
			pause = expireEvery
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// logging are the flags of a server's own log.
type logging struct {
	level, format string
}

func loggingFlags(cmd *cobra.Command) *logging {
	l := &logging{}
	cmd.Flags().StringVar(&l.level, "log-level", "info", "debug, info, warn or error")
	cmd.Flags().StringVar(&l.format, "log-format", "text", "text or json")
	return l
}

// open returns a logger that writes to w, and what must be called when nothing more is
// logged.
func (l *logging) open(w io.Writer) (logger *slog.Logger, flush func(), err error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.level)); err != nil {
		return nil, nil, usageError{fmt.Errorf("--log-level %q: want debug, info, warn or error", l.level)}
	}
	options := &slog.HandlerOptions{Level: level}
	out := newLines(w)
	var h slog.Handler
	switch l.format {
	case "text":
		h = slog.NewTextHandler(out, options)
	case "json":
		h = slog.NewJSONHandler(out, options)
	default:
		return nil, nil, usageError{fmt.Errorf("--log-format %q: want text or json", l.format)}
	}
	return slog.New(prompt{h, out}), out.flush, nil
}
